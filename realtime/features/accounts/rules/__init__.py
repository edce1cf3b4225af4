"""What accounts allow: names, standing, points, and how people are found by words."""
