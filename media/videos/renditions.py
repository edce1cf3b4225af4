# PyAV's types leave some arguments open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""Encoding: one pass through a video, as many outputs as it is to be served in."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.filter import Graph

from media.videos.probe import Probe

Progress = Callable[[float], None]

MOST_RATE = Fraction(60)
SEGMENT_SECONDS = 4
AUDIO_RATE, AUDIO_FRAME = 48_000, 1024
_TURNS = {90: ["cclock"], 180: ["cclock", "cclock"], 270: ["clock"]}
"""How to turn a picture upright that is shown turned counter-clockwise by so much."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """A size and what it may cost: its shorter side, and bits a second of picture and sound."""

    name: str
    side: int
    picture_bits: int
    sound_bits: int


def size_of(probe: Probe, side: int) -> tuple[int, int]:
    """The size with that shorter side, never larger than it is; encoders want even numbers."""
    scale = min(1.0, side / min(probe.width, probe.height))
    return max(2, round(probe.width * scale / 2) * 2), max(2, round(probe.height * scale / 2) * 2)


class Encoder:
    """One output. Pictures go through a graph that turns, times, and scales them."""

    def __init__(self, output: OutputContainer, probe: Probe, rendition: Rendition) -> None:
        self._output, self._pictures, self._sounds = output, None, None
        self._probe, self._size = probe, size_of(probe, rendition.side)
        self._rate = min(probe.rate, MOST_RATE)
        keys = max(1, ceil(self._rate * SEGMENT_SECONDS))
        video: Any = output.add_stream("libx264", rate=self._rate)
        video.width, video.height = self._size
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = 1 / self._rate
        video.codec_context.thread_count = 2
        video.options = {
            "preset": "veryfast",
            "crf": "23",
            "maxrate": str(rendition.picture_bits),
            "bufsize": str(2 * rendition.picture_bits),
            "x264-params": f"keyint={keys}:min-keyint={keys}:scenecut=0:info=0",
        }
        self._video, self._audio = video, None
        if probe.audio_codec is not None:
            audio: Any = output.add_stream("aac", rate=AUDIO_RATE)
            audio.layout = "stereo"
            audio.bit_rate = rendition.sound_bits
            self._audio = audio

    def picture(self, frame: Any) -> None:
        """The next picture; `None` after the last."""
        if self._pictures is None and frame is not None:
            self._pictures = self._picture_graph(frame)
        for made in _through(self._pictures, frame):
            made.pict_type = 0
            self._mux(self._video.encode(made))

    def _picture_graph(self, frame: Any) -> Graph:
        graph, (width, height) = Graph(), self._size
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        steps = [("setpts", f"PTS-{self._probe.start:.6f}/TB")]
        steps += [("transpose", turn) for turn in _TURNS.get(self._probe.rotation, [])]
        steps += [("fps", f"{self._rate}"), ("scale", f"{width}:{height}"), ("format", "yuv420p")]
        nodes = [source, *(graph.add(name, argument) for name, argument in steps), graph.add("buffersink")]
        graph.link_nodes(*nodes).configure()
        return graph

    def sound(self, frame: Any) -> None:
        """The next piece of sound; `None` after the last."""
        if self._audio is None:
            return
        if self._sounds is None and frame is not None:
            self._sounds = _sound_graph(frame, self._probe.start)
        for made in _through(self._sounds, frame):
            self._mux(self._audio.encode(made))

    def _mux(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            self._output.mux(packet)

    def close(self) -> None:
        """Write what is still in the encoders, and the end of the file."""
        self.picture(None)
        self.sound(None)
        for stream in (self._video, self._audio):
            if stream is not None:
                self._mux(stream.encode(None))
        self._output.close()


def _sound_graph(frame: Any, start: float) -> Graph:
    """Stereo in even pieces, from the beginning of the film on; gaps and overlaps are evened out."""
    graph = Graph()
    source = graph.add_abuffer(
        sample_rate=frame.sample_rate, format=frame.format, layout=frame.layout, time_base=frame.time_base
    )
    steps = [
        ("asetpts", f"PTS-{start:.6f}/TB"),
        ("aresample", f"{AUDIO_RATE}:async=1000:first_pts=0"),
        ("aformat", f"sample_fmts=fltp:channel_layouts=stereo:sample_rates={AUDIO_RATE}"),
        ("asetnsamples", f"n={AUDIO_FRAME}:p=0"),
    ]
    nodes = [source, *(graph.add(name, argument) for name, argument in steps), graph.add("abuffersink")]
    graph.link_nodes(*nodes).configure()
    return graph


def _through(graph: Graph | None, frame: Any) -> Iterable[Any]:
    """What a graph gives for the next frame; `None` makes it give what it still has."""
    if graph is None:
        return
    graph.push(frame)
    while True:
        try:
            yield graph.pull()
        except (BlockingIOError, EOFError):
            return


def encode(source: InputContainer, probe: Probe, encoders: Sequence[Encoder], tell: Progress) -> None:
    """Decode a video once and hand it to every encoder; `tell` hears of how much is done."""
    video = source.streams.video[0]
    video.thread_type = "AUTO"
    wanted: list[Any] = [video]
    if probe.audio_codec is not None:
        wanted.append(source.streams.audio[0])
    for frame in source.decode(*wanted):
        if isinstance(frame, av.VideoFrame):
            for encoder in encoders:
                encoder.picture(frame)
            if frame.pts is not None and probe.duration:
                tell(min(1.0, frame.time / probe.duration))
        else:
            for encoder in encoders:
                encoder.sound(frame)
    for encoder in encoders:
        encoder.close()


def open_mp4(path: Path) -> OutputContainer:
    """An MP4 whose index comes first, so that it plays while it loads."""
    return av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})


def open_hls(playlist: Path, media: Path) -> OutputContainer:
    """A playlist, and one file with all its segments: they are told by their byte ranges."""
    options = {
        "hls_time": str(SEGMENT_SECONDS),
        "hls_playlist_type": "vod",
        "hls_segment_type": "fmp4",
        "hls_flags": "single_file",
        "hls_segment_filename": str(media),
        "hls_list_size": "0",
    }
    return av.open(str(playlist), "w", format="hls", options=options)
