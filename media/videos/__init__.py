"""Videos: looked at, made to begin at once, freed of what they say about people, and cut for slow lines."""
