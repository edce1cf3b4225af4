"""Images: decoded whole, turned upright, freed of all but their pixels, and made in the sizes we serve."""

from media.images.limits import BadImage, Broken, TooLarge
from media.images.pipeline import ImageInfo, make_images

__all__ = ["BadImage", "Broken", "ImageInfo", "TooLarge", "make_images"]
