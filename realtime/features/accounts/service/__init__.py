"""What people can do with accounts."""
