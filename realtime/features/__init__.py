"""What Plaza can do, one package for each feature."""
