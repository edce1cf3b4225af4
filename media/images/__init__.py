"""Images: decoded whole, turned upright, freed of all but their pixels, and made in the sizes we serve."""
