"""What a video may be."""

from dataclasses import dataclass


class BadVideo(Exception):
    """It does not play to the end."""

    code = "broken_video"


class VideoTooLarge(BadVideo):
    """Too long, too many pixels, or too many pictures a second."""

    code = "video_too_large"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a video may be."""

    seconds: float = 600.0
    side: int = 4096
    pixels: int = 4096 * 2304
    rate: float = 121.0
    streams: int = 16
