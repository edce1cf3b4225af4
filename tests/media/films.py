"""Small films, made here."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image, ImageDraw

RATE = 25
SOUND_RATE, SOUND_FRAME = 48_000, 1024


def pictures(count: int, size: tuple[int, int]) -> Iterator[Image.Image]:
    """A white square wanders from left to right over a red and a blue half."""
    for number in range(count):
        image = Image.new("RGB", size, (180, 0, 0))
        image.paste((0, 0, 180), (size[0] // 2, 0, *size))
        left = number * (size[0] - 20) // max(1, count - 1)
        ImageDraw.Draw(image).rectangle((left, 10, left + 20, 30), fill="white")
        yield image


def film(
    path: Path,
    *,
    seconds: float = 1.0,
    size: tuple[int, int] = (320, 240),
    codec: str = "libx264",
    sound: str | None = "aac",
    **options: Any,
) -> Path:
    """Write a film; the extension chooses the container. `metadata` is written into it.

    `tuning` is for the codec; `shown` are other pictures than a wandering square.
    """
    metadata: dict[str, str] = options.pop("metadata", {})
    shown = options.get("shown") or pictures(round(seconds * RATE), size)
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"} if metadata else {}) as output:
        output.metadata.update(metadata)
        video: Any = output.add_stream(codec, rate=RATE, options=options.get("tuning"))
        video.width, video.height = size
        video.pix_fmt = options.get("pixels", "yuv420p")
        audio: Any = output.add_stream(sound, rate=SOUND_RATE) if sound else None
        if audio is not None:
            audio.layout = "stereo"
        for image in shown:
            output.mux(video.encode(av.VideoFrame.from_image(image)))
        output.mux(video.encode(None))
        if audio is not None:
            _add_silence(output, audio, seconds)
    return path


def _add_silence(output: Any, audio: Any, seconds: float) -> None:
    for number in range(int(seconds * SOUND_RATE / SOUND_FRAME)):
        frame = av.AudioFrame(format=audio.codec_context.format.name, layout="stereo", samples=SOUND_FRAME)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts = SOUND_RATE, number * SOUND_FRAME
        frame.time_base = Fraction(1, SOUND_RATE)
        output.mux(audio.encode(frame))
    output.mux(audio.encode(None))


def turned(path: Path) -> Path:
    """Say in the header that the film is to be shown turned a quarter clockwise, as phones do."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    return path
