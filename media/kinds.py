"""What an upload is, by its first bytes. What somebody says that it is counts for nothing."""

from dataclasses import dataclass
from typing import Literal

Family = Literal["image", "video"]
HEAD = 64
"""How many bytes are enough to tell."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A format: its media type, what files of it are called, and the library's name for it."""

    family: Family
    content_type: str
    extension: str
    codec: str


JPEG = Kind("image", "image/jpeg", "jpg", "JPEG")
PNG = Kind("image", "image/png", "png", "PNG")
GIF = Kind("image", "image/gif", "gif", "GIF")
WEBP = Kind("image", "image/webp", "webp", "WEBP")
HEIC = Kind("image", "image/heic", "heic", "HEIF")
MP4 = Kind("video", "video/mp4", "mp4", "mov,mp4,m4a,3gp,3g2,mj2")
QUICKTIME = Kind("video", "video/quicktime", "mov", "mov,mp4,m4a,3gp,3g2,mj2")
AVI = Kind("video", "video/x-msvideo", "avi", "avi")
WEBM = Kind("video", "video/webm", "webm", "matroska,webm")
MPEG = Kind("video", "video/mpeg", "mpg", "mpeg")

_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_MP4_BRANDS = {
    b"isom",
    b"iso2",
    b"iso4",
    b"iso5",
    b"iso6",
    b"mp41",
    b"mp42",
    b"avc1",
    b"dash",
    b"M4V ",
    b"MSNV",
}


def kind_of(head: bytes) -> Kind | None:
    """The format of a file that begins with these bytes; None for what is not accepted."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if head.startswith(b"RIFF"):
        return {b"WEBP": WEBP, b"AVI ": AVI}.get(head[8:12])
    if head.startswith(b"\x1aE\xdf\xa3"):
        return WEBM
    if head.startswith((b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")):
        return MPEG
    if head[4:8] == b"ftyp":
        return _by_brand(head[8:12])
    if head[4:8] in {b"moov", b"mdat", b"wide", b"free", b"skip"}:
        return QUICKTIME
    return None


def _by_brand(brand: bytes) -> Kind | None:
    if brand in _HEIC_BRANDS:
        return HEIC
    if brand == b"qt  ":
        return QUICKTIME
    return MP4 if brand in _MP4_BRANDS or brand.startswith((b"3gp", b"3g2")) else None
