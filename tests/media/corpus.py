"""Files that a stranger may send: honest ones with secrets inside, and such as want to hurt. Made here."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pillow_heif
from PIL import Image, ImageCms, PngImagePlugin

CANARY = b"CANARY-52.5200-13.4050"
GPS_IFD, ORIENTATION, MAKER = 0x8825, 0x0112, 0x010F
TURNED = 6


def picture(width: int = 400, height: int = 300, mode: str = "RGB") -> Image.Image:
    """Left half red, right half blue, the upper left corner white: enough to see what was turned."""
    image = Image.new("RGB", (width, height), (200, 0, 0))
    image.paste((0, 0, 200), (width // 2, 0, width, height))
    image.paste((255, 255, 255), (0, 0, width // 8, height // 8))
    return image.convert(mode)


def saved(image: Image.Image, codec: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, codec, **options)
    return out.getvalue()


def tagged() -> Image.Exif:
    """What a phone writes: where, with what, and which way up."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKER] = TURNED, CANARY.decode()
    exif.get_ifd(GPS_IFD).update(
        {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0), 29: "CANARY-52"}
    )
    return exif


def with_secrets(codec: str) -> bytes:
    """A picture that says where it was taken, in every way its format has."""
    image, xmp = picture(), b"<x:xmpmeta>" + CANARY + b"</x:xmpmeta>"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    match codec:
        case "JPEG":
            return saved(image, codec, exif=tagged(), comment=CANARY, xmp=xmp, icc_profile=profile)
        case "PNG":
            info = PngImagePlugin.PngInfo()
            info.add_text("Comment", CANARY.decode())
            info.add_itxt("XML:com.adobe.xmp", xmp.decode())
            return saved(image, codec, exif=tagged(), pnginfo=info, icc_profile=profile)
        case "WEBP":
            return saved(image, codec, exif=tagged(), xmp=xmp, icc_profile=profile)
        case "GIF":
            return saved(image, codec, comment=CANARY)
        case _:
            pillow_heif.register_heif_opener()
            own = image.getexif()
            own.update(tagged())
            own.get_ifd(GPS_IFD).update(tagged().get_ifd(GPS_IFD))
            return saved(image, "HEIF", xmp=xmp)


def moving(frames: int, size: tuple[int, int] = (64, 48), codec: str = "GIF") -> bytes:
    pictures = [Image.new("RGB", size, (number * 37 % 256, number % 256, 99)) for number in range(frames)]
    return saved(pictures[0], codec, save_all=True, append_images=pictures[1:], duration=70, loop=0)


# -- what wants to hurt


def png_of(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG by its header; nobody has to have that many pixels to say so."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in chunks)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def zlib_bomb() -> bytes:
    """A compressed text that is a thousand times as long once it is read."""
    bomb = b"Comment\0\0" + zlib.compress(b"\0" * 200_000_000, 9)
    whole = saved(picture(), "PNG")
    return whole[:33] + chunk(b"zTXt", bomb) + whole[33:]


def gif_of_many_frames(frames: int, side: int = 10) -> bytes:
    """Frames of one pixel each: small as a file, and endless as a film."""
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * frames + b";"


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "50,000 by 50,000 pixels": (lambda: png_of(50_000, 50_000), "image_too_large"),
    "a side of 20,000": (lambda: png_of(20_000, 10), "image_too_large"),
    "10,000 frames": (lambda: gif_of_many_frames(10_000), "image_too_large"),
    "an animation of 135 million pixels": (lambda: gif_of_many_frames(150, 950), "image_too_large"),
    "a compressed text of 200 MB": (zlib_bomb, "broken_image"),
    "half a JPEG": (lambda: half(saved(picture(1000, 800), "JPEG")), "broken_image"),
    "half a PNG": (lambda: half(saved(Image.effect_noise((300, 300), 90), "PNG")), "broken_image"),
    "half a WebP": (lambda: half(saved(picture(1000, 800), "WEBP")), "broken_image"),
    "half a GIF": (lambda: half(saved(picture(1000, 800), "GIF")), "broken_image"),
    "a JPEG header and HTML": (lambda: b"\xff\xd8\xff\xe0<html><script>alert(1)</script>", "broken_image"),
    "a PNG without pixels": (lambda: png_of(100, 100), "broken_image"),
    "no pixels at all": (lambda: png_of(0, 0), "broken_image"),
    "a GIF header alone": (lambda: b"GIF89a", "broken_image"),
    "a JPEG that is a JPEG 2000 inside": (
        lambda: b"\xff\xd8\xff" + saved(picture(), "JPEG2000"),
        "broken_image",
    ),
    "a WebP that is an AVI inside": (lambda: b"RIFF\xff\xff\xff\xffWEBPVP8 " + b"AVI " * 50, "broken_image"),
    "a HEIC box of nothing": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + b"\0" * 200, "broken_image"),
}
"""What decodes to nothing good, and what is said of it."""

STRANGE: dict[str, Callable[[], bytes]] = {
    "HTML": lambda: b"<!doctype html><script>alert(1)</script>",
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "XML": lambda: b'<?xml version="1.0"?><svg/>',
    "PDF": lambda: b"%PDF-1.7\n",
    "ZIP": lambda: b"PK\x03\x04" + b"\0" * 30,
    "TIFF": lambda: saved(picture(), "TIFF"),
    "BMP": lambda: saved(picture(), "BMP"),
    "ICO": lambda: saved(picture(64, 64), "ICO"),
    "PSD": lambda: b"8BPS\0\x01" + b"\0" * 40,
    "JPEG 2000": lambda: saved(picture(), "JPEG2000"),
    "AVIF": lambda: saved(picture(), "AVIF"),
    "a program": lambda: b"\x7fELF\x02\x01\x01" + b"\0" * 60,
    "nothing": lambda: b"",
    "one byte": lambda: b"\xff",
    "zeros": lambda: b"\0" * 1000,
}
"""What is not accepted whatever it says it is."""

POLYGLOTS: dict[str, Callable[[], bytes]] = {
    "a JPEG and HTML": lambda: saved(picture(), "JPEG") + b"<script>" + CANARY + b"</script>",
    "a JPEG with HTML in its comment": lambda: saved(picture(), "JPEG", comment=b"<script>" + CANARY),
    "a GIF and JavaScript": lambda: saved(picture(), "GIF") + b"=1;alert('" + CANARY + b"')",
    "a PNG and a ZIP": lambda: saved(picture(), "PNG") + b"PK\x03\x04" + CANARY,
}
"""Whole images that are something else, too."""
