"""What an image may be, looked at before any of its pixels is decoded."""

import warnings

from PIL import Image, ImageFile

MAX_PIXELS = 50_000_000
MAX_SIDE = 16_384
MAX_FRAMES = 200
MAX_MOVING_PIXELS = 120_000_000
"""All frames of an animation together."""


class BadImage(Exception):
    """It cannot be used; `code` says why."""

    code = "broken_image"


class Broken(BadImage):
    """It does not decode to the end."""


class TooLarge(BadImage):
    """Too many pixels, or too many frames."""

    code = "image_too_large"


def arm() -> None:
    """Make the library refuse by itself what we refuse, and never fill in what is missing."""
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def require_small(image: Image.Image) -> None:
    """Refuse too many pixels, by the header alone."""
    width, height = image.size
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise TooLarge


def frames_of(image: Image.Image) -> int:
    """How many frames an image has, by its structure alone; refuses too many of them."""
    width, height = image.size
    frames = int(getattr(image, "n_frames", 1))
    if frames > MAX_FRAMES or (frames > 1 and frames * width * height > MAX_MOVING_PIXELS):
        raise TooLarge
    return frames
