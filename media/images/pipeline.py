# Pillow names NumPy in its types, and is used without it.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
"""From an uploaded file to the files we keep. Runs in a worker process, never beside the event loop.

Nothing of the upload is copied: pixels are decoded and encoded again, so neither metadata nor whatever else
hides in a file comes through.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from math import sqrt
from pathlib import Path
from typing import Any, cast

import blurhash  # pyright: ignore[reportMissingTypeStubs]
import pillow_heif
from PIL import Image, ImageCms, ImageOps, ImageSequence

from media.images.limits import BadImage, Broken, TooLarge, arm, frames_of, require_small
from media.kinds import HEIC, JPEG, WEBP, Kind

LONGEST_SIDE = 1920
MOVING_SIDE = 1280
MOVING_PIXELS = 64_000_000
"""All frames of a kept animation: they are in memory together while it is encoded."""
VARIANTS = {"thumb": 256, "small": 640, "medium": 1280}
QUALITY, WEBP_QUALITY, AVIF_QUALITY, AVIF_SPEED = 85, 80, 60, 9
BLURHASH_SIDE, BLURHASH_COMPONENTS = 32, (4, 3)
DEFAULT_FRAME_MS, SHORTEST_FRAME_MS = 100, 20
AVIF_TYPE = "image/avif"

_SRGB = cast("Any", ImageCms.createProfile("sRGB"))


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file that was made: `variant` is empty for the image itself."""

    variant: str
    path: str
    content_type: str
    extension: str
    width: int
    height: int
    size: int


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What an upload has become. `files` begins with the image itself."""

    width: int
    height: int
    blurhash: str
    animated: bool
    files: Sequence[ImageFile]


def make_images(source: Path, kind: Kind, folder: Path) -> ImageInfo:
    """Decode `source`, which is said to be of that kind, and write what we keep into `folder`.

    Raises `Broken` or `TooLarge`.
    """
    arm()
    pillow_heif.register_heif_opener(thumbnails=False)
    try:
        with Image.open(source, formats=[kind.codec]) as image:
            require_small(image)
            # Phones put several pictures into one file; the first one is what they show.
            frames = 1 if kind in (JPEG, HEIC) else frames_of(image)
            return _moving(image, frames, folder) if frames > 1 else _still(image, folder)
    except BadImage:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise TooLarge from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise whatever they stumble over
        raise Broken(type(error).__name__) from error


# -- stills


def make_still(image: Image.Image, folder: Path, name: str) -> ImageInfo:
    """A picture that is decoded already, of a video for instance, in the sizes we serve."""
    plain = _plain(_fitting(_resizable(image), VARIANTS["medium"]))
    main = replace(_save_main(plain, folder, name), variant=name)
    variants = [one for one in _variants(plain, folder) if one.variant != "medium"]
    return ImageInfo(plain.width, plain.height, _blurhash(plain), animated=False, files=[main, *variants])


def _still(image: Image.Image, folder: Path) -> ImageInfo:
    if image.format == "JPEG":
        image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
    upright = ImageOps.exif_transpose(image) or image
    plain = _plain(_fitting(_resizable(upright), LONGEST_SIDE))
    files = [_save_main(plain, folder), *_variants(plain, folder)]
    return ImageInfo(plain.width, plain.height, _blurhash(plain), animated=False, files=files)


def _save_main(image: Image.Image, folder: Path, name: str = "image") -> ImageFile:
    if image.mode == "RGBA":
        path = folder / f"{name}.webp"
        image.save(path, "WEBP", quality=WEBP_QUALITY, method=4)
        return _file("", path, image, WEBP.content_type)
    path = folder / f"{name}.jpg"
    image.save(path, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return _file("", path, image, JPEG.content_type)


def _variants(image: Image.Image, folder: Path) -> list[ImageFile]:
    """The sizes smaller than the image itself, largest first: each is made from the one before."""
    made: list[ImageFile] = []
    for name, side in sorted(VARIANTS.items(), key=lambda item: -item[1]):
        if max(image.size) <= side:
            continue
        image = _fitting(image, side)
        webp, avif = folder / f"{name}.webp", folder / f"{name}.avif"
        image.save(webp, "WEBP", quality=WEBP_QUALITY, method=4)
        image.save(avif, "AVIF", quality=AVIF_QUALITY, speed=AVIF_SPEED)
        made += [
            _file(name, webp, image, WEBP.content_type),
            _file(name, avif, image, AVIF_TYPE),
        ]
    return made


# -- animations


def _moving(image: Image.Image, count: int, folder: Path) -> ImageInfo:
    """An animation stays one, as WebP; its variants are stills of its first frame."""
    width, height = image.size
    scale = min(1.0, MOVING_SIDE / max(width, height), sqrt(MOVING_PIXELS / (count * width * height)))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    loop = int(image.info.get("loop", 0))
    frames: list[Image.Image] = []
    durations: list[int] = []
    for frame in ImageSequence.Iterator(image):
        duration = float(frame.info.get("duration") or DEFAULT_FRAME_MS)
        durations.append(max(SHORTEST_FRAME_MS, round(duration)))
        frames.append(_bare(frame.convert("RGBA").resize(size, Image.Resampling.BILINEAR)))
    path, first = folder / "image.webp", frames[0]
    first.save(
        path,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=loop,
        quality=WEBP_QUALITY,
        method=2,
    )
    still = _plain(first)
    files = [_file("", path, first, WEBP.content_type), *_variants(still, folder)]
    return ImageInfo(first.width, first.height, _blurhash(still), animated=True, files=files)


# -- pixels


def _resizable(image: Image.Image) -> Image.Image:
    """Modes that cannot be resized smoothly become ones that can; colours are not touched yet."""
    if image.mode.startswith("I"):  # 16 bits of grey
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode == "P":
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in {"1", "PA", "LA"} or "transparency" in image.info:
        return image.convert("L" if image.mode == "1" else "RGBA")
    return image


def _plain(image: Image.Image) -> Image.Image:
    """RGB, or RGBA where something shines through; in sRGB, and with nothing but pixels."""
    has_alpha = image.mode == "RGBA"
    mode = "RGBA" if has_alpha else "RGB"
    profile = cast("bytes | None", image.info.get("icc_profile"))
    managed = _managed(image, profile, mode) if profile else None
    plain = managed or image.convert(mode)
    if has_alpha and plain.getchannel("A").getextrema() == (255, 255):
        plain = plain.convert("RGB")
    return _bare(plain)


def _managed(image: Image.Image, profile: bytes, mode: str) -> Image.Image | None:
    """The image in sRGB as its profile has it; None when the profile does not fit or is broken."""
    try:
        given = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.profileToProfile(image, given, _SRGB, outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _bare(image: Image.Image) -> Image.Image:
    """Encoders copy comments, profiles and more from here."""
    image.info = {}
    return image


def _fitting(image: Image.Image, side: int) -> Image.Image:
    """The image with its larger side at most `side`; never larger than it was."""
    if max(image.size) <= side:
        return image
    scale = side / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    smaller = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    smaller.info = image.info
    return smaller


def _blurhash(image: Image.Image) -> str:
    """Thirty characters that look like the image from afar: the algorithm of blurha.sh."""
    small = _fitting(image, BLURHASH_SIDE)
    if small.mode == "RGBA":
        ground = Image.new("RGBA", small.size, "white")
        small = Image.alpha_composite(ground, small).convert("RGB")
    data, width = small.tobytes(), small.width * 3
    rows = [
        [data[at : at + 3] for at in range(start, start + width, 3)] for start in range(0, len(data), width)
    ]
    return str(blurhash.encode(rows, *BLURHASH_COMPONENTS))


def _file(variant: str, path: Path, image: Image.Image, content_type: str) -> ImageFile:
    size = path.stat().st_size
    return ImageFile(variant, path.name, content_type, path.suffix[1:], image.width, image.height, size)
