# PyAV's types leave some arguments open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""From an uploaded video to the files we keep. Runs in a worker process, never beside the event loop."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av.bitstream import BitStreamFilterContext

from media.images.pipeline import ImageFile, make_still
from media.kinds import MP4, Kind
from media.videos.limits import BadVideo, Limits
from media.videos.probe import Probe, open_video, probe
from media.videos.renditions import Encoder, Progress, Rendition, encode, open_hls, open_mp4, size_of

MAIN = Rendition("", 1080, 6_000_000, 160_000)
RENDITIONS = (Rendition("360p", 360, 900_000, 96_000), Rendition("720p", 720, 3_000_000, 128_000))
HEAD = 16_384
"""In so much of a rendition its codecs are named."""
AAC_LC = "mp4a.40.2"
PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
POSTER_AT = 1.0


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A file that was made: `variant` is empty for the video itself."""

    variant: str
    path: str
    content_type: str
    extension: str
    width: int
    height: int
    size: int


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of a video at once, and the files that were made of it so far.

    `playable`: the video itself is among them, as the first one. Else it has to be encoded anew.
    """

    width: int
    height: int
    duration: float
    blurhash: str
    playable: bool
    files: Sequence[VideoFile]


def look_at(source: Path, kind: Kind, folder: Path, limits: Limits) -> VideoInfo:
    """Probe a file that is said to be of that kind; make its poster, and the video itself if that is quick.

    Raises `BadVideo` or `VideoTooLarge`.
    """
    with _as_bad_video():
        found = probe(source, kind, limits)
        poster = make_still(_picture_of(source, kind, found), folder, "poster")
        files = [_of_image(one, folder) for one in poster.files]
        playable = _may_be_copied(found)
        size = (found.width, found.height) if playable else size_of(found, MAIN.side)
        if playable:
            main = folder / "video.mp4"
            _copy(source, kind, main)
            files.insert(0, _file("", main, MP4.content_type, size))
        return VideoInfo(*size, round(found.duration, 3), poster.blurhash, playable, files)


def cut(source: Path, kind: Kind, folder: Path, limits: Limits, tell: Progress) -> Sequence[VideoFile]:
    """Make what takes its time: renditions for slow and fast lines, and the video itself if it is missing.

    Raises `BadVideo`.
    """
    with _as_bad_video():
        found = probe(source, kind, limits)
        main, encoders = folder / "video.mp4", list[Encoder]()
        if not _may_be_copied(found):
            encoders.append(Encoder(open_mp4(main), found, MAIN))
        sides = [one for one in RENDITIONS if one.side <= min(found.width, found.height)] or RENDITIONS[:1]
        for one in sides:
            output = open_hls(folder / f"{one.name}.m3u8", folder / f"{one.name}.mp4")
            encoders.append(Encoder(output, found, one))
        with open_video(source, kind) as container:
            encode(container, found, encoders, tell)
        files = _playlists(folder, found, sides)
        if main.exists():
            files.insert(0, _file("", main, MP4.content_type, size_of(found, MAIN.side)))
        return files


@contextmanager
def _as_bad_video() -> Generator[None]:
    """Decoders raise whatever they stumble over."""
    try:
        yield
    except (BadVideo, MemoryError):
        raise
    except Exception as error:
        raise BadVideo(type(error).__name__) from error


def _may_be_copied(found: Probe) -> bool:
    """Whether players know its formats and nothing has to be turned: then only its box is made anew."""
    picture = found.codec == "h264" and found.pixel_format in {"yuv420p", "yuvj420p"}
    return picture and found.audio_codec in {"aac", None} and found.rotation == 0


def _copy(source: Path, kind: Kind, target: Path) -> None:
    """Pictures and sound as they are, in a new file: index first, and no word of where and by whom."""
    with open_video(source, kind) as container, open_mp4(target) as output:
        streams: list[Any] = [container.streams.video[0], *container.streams.audio[:1]]
        copies = {stream.index: output.add_stream_from_template(stream) for stream in streams}
        for copy in copies.values():
            copy.metadata.clear()
        # Messages between the pictures (SEI) may carry anything, positions of drones among it.
        silent = BitStreamFilterContext("filter_units=remove_types=6", streams[0], copies[streams[0].index])
        for packet in container.demux(*streams):
            if packet.dts is None:
                continue
            kept = silent.filter(packet) if packet.stream.index == streams[0].index else [packet]
            for one in kept:
                one.stream = copies[packet.stream.index]
                output.mux(one)
        for one in silent.filter(None):
            one.stream = copies[streams[0].index]
            output.mux(one)


def _picture_of(source: Path, kind: Kind, found: Probe) -> Any:
    """A picture from early on, upright: the first one is often black."""
    with open_video(source, kind) as container:
        last = None
        for frame in container.decode(container.streams.video[0]):
            last = frame
            if frame.pts is None or frame.time >= min(POSTER_AT, found.duration / 2):
                break
        if last is None:
            raise BadVideo("no picture")
        return last.to_image().rotate(found.rotation, expand=True)


def _playlists(folder: Path, found: Probe, cut: Sequence[Rendition]) -> list[VideoFile]:
    """The master playlist, and each rendition's own with its media. They name each other by `?variant=`."""
    files: list[VideoFile] = []
    lines = ["#EXTM3U", "#EXT-X-VERSION:7"]
    for one in cut:
        playlist, media, size = (
            folder / f"{one.name}.m3u8",
            folder / f"{one.name}.mp4",
            size_of(found, one.side),
        )
        playlist.write_text(playlist.read_text().replace(media.name, f"?variant={one.name}"))
        lines.append(
            f'{_stream_line(one, media.stat().st_size, found, size)},CODECS="{_codecs(media, found)}"'
        )
        lines.append(f"?variant=hls-{one.name}")
        files.append(_file(f"hls-{one.name}", playlist, PLAYLIST_TYPE, size))
        files.append(_file(one.name, media, MP4.content_type, size))
    master = folder / "master.m3u8"
    master.write_text("\n".join(lines) + "\n")
    return [_file("hls", master, PLAYLIST_TYPE, (found.width, found.height)), *files]


def _stream_line(one: Rendition, size: int, found: Probe, shown: tuple[int, int]) -> str:
    """RFC 8216, 4.3.4.2: the peak may not be less than what a segment really takes."""
    average = round(size * 8 / max(found.duration, 0.1))
    peak = max(average, one.picture_bits + one.sound_bits)
    width, height = shown
    return (
        f"#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},RESOLUTION={width}x{height},"
        f"FRAME-RATE={float(min(found.rate, 60)):.3f}"
    )


def _codecs(media: Path, found: Probe) -> str:
    """RFC 6381: without them some players fetch a rendition only to learn that they cannot play it."""
    with media.open("rb") as file:
        head = file.read(HEAD)
    profile = head.index(b"avcC") + 5
    sound = [] if found.audio_codec is None else [AAC_LC]
    return ",".join([f"avc1.{head[profile : profile + 3].hex()}", *sound])


def _of_image(one: ImageFile, folder: Path) -> VideoFile:
    return _file(one.variant, folder / one.path, one.content_type, (one.width, one.height))


def _file(variant: str, path: Path, content_type: str, size: tuple[int, int]) -> VideoFile:
    return VideoFile(variant, path.name, content_type, path.suffix[1:], *size, path.stat().st_size)
