"""What push decides without asking anybody."""
