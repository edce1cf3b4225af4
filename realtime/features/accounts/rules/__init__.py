"""What accounts allow: who may take part, and what earns points."""
