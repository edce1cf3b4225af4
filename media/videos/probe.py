# PyAV's types leave some arguments open.
# pyright: reportUnknownMemberType=false
"""What a video is, from its header and its first picture, before anything else of it is decoded."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from media.kinds import Kind
from media.videos.limits import BadVideo, Limits, VideoTooLarge

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Probe:
    """A video as it is to be shown: width and height are those after turning it upright."""

    start: float
    """The time of the film's beginning, in seconds; some formats do not begin at nought."""
    duration: float
    width: int
    height: int
    rotation: int
    rate: Fraction
    codec: str
    pixel_format: str
    audio_codec: str | None


def open_video(source: Path, kind: Kind) -> InputContainer:
    """Open a file as that and nothing else: formats that name further files are never tried."""
    return av.open(str(source), format=kind.codec.partition(",")[0], options={"enable_drefs": "0"})


def probe(source: Path, kind: Kind, limits: Limits) -> Probe:
    """Look at a video; raises `BadVideo` or `VideoTooLarge`."""
    with open_video(source, kind) as container:
        if not container.streams.video or len(container.streams) > limits.streams:
            raise BadVideo("no picture")
        stream = container.streams.video[0]
        width, height = stream.codec_context.width, stream.codec_context.height
        if not (width and height) or max(width, height) > limits.side or width * height > limits.pixels:
            raise VideoTooLarge if width and height else BadVideo("no size")
        rate = stream.average_rate or stream.guessed_rate or Fraction(30)
        if rate > limits.rate:
            raise VideoTooLarge
        stream.thread_type = "AUTO"
        first = next(container.decode(stream), None)
        if first is None:
            raise BadVideo("no picture")
        turned = first.rotation % 180 == 90
        audio = container.streams.audio[0] if container.streams.audio else None
        duration = _duration(container, float(rate))
        if duration > limits.seconds:
            raise VideoTooLarge
        return Probe(
            (container.start_time or 0) / MICROSECONDS,
            duration,
            height if turned else width,
            width if turned else height,
            first.rotation % 360,
            rate,
            stream.codec_context.name,
            stream.codec_context.pix_fmt or "",
            audio.codec_context.name if audio is not None else None,
        )


def _duration(container: InputContainer, rate: float) -> float:
    """By the header; else by counting packets, for headers of live recordings do not say."""
    if container.duration is not None and container.duration > 0:
        return container.duration / MICROSECONDS
    stream = container.streams.video[0]
    container.seek(0)
    return sum(1 for packet in container.demux(stream) if packet.size) / rate
