"""Videos from strangers: what is kept of them, and what is refused."""

import re
from collections.abc import AsyncIterator
from io import BytesIO
from operator import itemgetter
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image, ImageStat

from media.kinds import MP4, kind_of
from media.pool import Bounds, JobRefused, Pool
from media.videos.limits import Limits
from tests.media.films import film, turned

CANARY = "CANARY+52.5200+13.4050/"


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(1, Bounds(memory_mb=3000, cpu_seconds=120, wall_seconds=110))
    yield pool
    await pool.stop()


async def made(pool: Pool, source: Path, **limits: Any) -> dict[str, Any]:
    """What becomes of an upload; its files by variant, with their bytes."""
    out = source.parent / "made"
    out.mkdir()
    kind = kind_of(source.read_bytes()[:64])
    assert kind is not None, "it is accepted at first sight"
    told: list[float] = []
    result = await pool.video(source, kind, out, Limits(**limits))
    cut = await pool.cut(source, kind, out, Limits(**limits), told.append)
    result["told"], result["files"] = told, [*cut["files"], *result["files"]]
    result["files"].sort(key=lambda file: file["variant"])
    result["bytes"] = {
        f"{file['variant']}.{file['extension']}": (out / file["path"]).read_bytes()
        for file in result["files"]
    }
    return result


def frames(data: bytes) -> list[Any]:
    with av.open(BytesIO(data), "r") as container:
        return list(container.decode(container.streams.video[0]))


def sound_seconds(data: bytes) -> float:
    with av.open(BytesIO(data), "r") as container:
        found = container.streams.audio[0]
        return sum(frame.samples for frame in container.decode(found)) / found.codec_context.sample_rate


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mov", {"codec": "mpeg4"}),
        ("a.webm", {"codec": "libvpx-vp9", "sound": "libopus"}),
        ("a.avi", {"codec": "mpeg4", "sound": "mp3"}),
        ("a.mpg", {"codec": "mpeg2video", "sound": "mp2"}),
        ("silent.mp4", {"sound": None}),
        ("odd.mp4", {"size": (318, 242), "pixels": "yuv444p"}),
    ],
)
async def test_every_format_becomes_one_that_plays_everywhere(
    pool: Pool, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    result = await made(pool, film(tmp_path / name, **options))

    for variant in (".mp4", "360p.mp4"):
        data = result["bytes"][variant]
        with av.open(BytesIO(data)) as container:
            codec = container.streams.video[0].codec_context
            assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
            assert [one.codec_context.name for one in container.streams.audio] == (
                ["aac"] if options.get("sound", "aac") else []
            )
        assert abs(len(frames(data)) - 25) <= 2
        if options.get("sound", "aac"):
            assert abs(sound_seconds(data) - 1.0) < 0.15
    assert abs(result["duration"] - 1.0) < 0.15
    assert result["files"][0]["content_type"] == "video/mp4"


async def test_a_video_begins_before_it_is_loaded(pool: Pool, tmp_path: Path) -> None:
    result = await made(pool, film(tmp_path / "a.mp4"))

    data = result["bytes"][".mp4"]
    assert data.index(b"moov") < data.index(b"mdat")


async def test_where_and_by_whom_is_forgotten(pool: Pool, tmp_path: Path) -> None:
    words = {
        "location": CANARY,
        "comment": CANARY,
        "artist": CANARY,
        "com.apple.quicktime.location.ISO6709": CANARY,
    }
    source = film(tmp_path / "a.mp4", metadata=words)
    assert CANARY.encode() in source.read_bytes()

    result = await made(pool, source)

    assert [name for name, data in result["bytes"].items() if b"CANARY" in data] == []


async def test_a_turned_video_stands_upright(pool: Pool, tmp_path: Path) -> None:
    """Red was on the left, so turned a quarter clockwise it is on top."""
    result = await made(pool, turned(film(tmp_path / "a.mp4", size=(480, 360))))

    assert (result["width"], result["height"]) == (360, 480)
    main = frames(result["bytes"][".mp4"])[0]
    assert main.rotation == 0
    for image in (main.to_image(), Image.open(BytesIO(result["bytes"]["poster.jpg"]))):
        assert image.size == (360, 480)
        upper, lower = image.crop((0, 60, 360, 200)), image.crop((0, 280, 360, 420))
        assert [
            max(enumerate(ImageStat.Stat(half).mean), key=itemgetter(1))[0] for half in (upper, lower)
        ] == [0, 2]


async def test_it_is_cut_for_slow_and_for_fast_lines(pool: Pool, tmp_path: Path) -> None:
    result = await made(pool, film(tmp_path / "a.mp4", seconds=4.6, size=(1280, 720)))

    master = result["bytes"]["hls.m3u8"].decode()
    assert re.findall(r"RESOLUTION=(\d+x\d+),", master) == ["640x360", "1280x720"]
    assert re.findall(r'CODECS="avc1\.[0-9a-f]{6},(.*?)"', master) == ["mp4a.40.2"] * 2
    assert re.findall(r"^\?variant=(\S+)$", master, re.M) == ["hls-360p", "hls-720p"]
    for name, size in (("360p", (640, 360)), ("720p", (1280, 720))):
        playlist, media = result["bytes"][f"hls-{name}.m3u8"].decode(), result["bytes"][f"{name}.mp4"]
        assert set(re.findall(r'^\?variant=(\S+)$|URI="\?variant=(\S+?)"', playlist, re.M)) == {
            (name, ""),
            ("", name),
        }
        ranges = [
            (int(start), int(start) + int(length))
            for length, start in re.findall(r'BYTERANGE[:=]"?(\d+)@(\d+)', playlist)
        ]
        assert [start for start, _ in ranges[1:]] == [end for _, end in ranges[:-1]], "piece follows piece"
        assert ranges[-1][1] <= len(media)
        head = media[slice(*ranges[0])]
        for piece in ranges[1:]:
            shown = frames(head + media[slice(*piece)])
            assert (shown[0].width, shown[0].height) == size
            assert shown[0].key_frame
    assert result["told"] == sorted(result["told"])
    assert result["told"][-1] > 0.9


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"seconds": 0.5}, "video_too_large"),
        ({"side": 300}, "video_too_large"),
        ({"pixels": 70_000}, "video_too_large"),
        ({"rate": 20.0}, "video_too_large"),
        ({"streams": 1}, "broken_video"),
    ],
)
async def test_what_is_more_than_may_be_is_refused(
    pool: Pool, tmp_path: Path, limits: dict[str, Any], code: str
) -> None:
    with pytest.raises(JobRefused) as refusal:
        await made(pool, film(tmp_path / "a.mp4"), **limits)

    assert refusal.value.code == code


@pytest.mark.parametrize(
    "broken",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:40] + b"<html><script>alert(1)</script></html>",
        lambda data: data[:40],
        lambda data: b"\0\0\0\x20ftypisom" + b"\0" * 500,
        lambda data: b"\x1aE\xdf\xa3" + b"\xff" * 500,
        lambda data: b"RIFF\xff\xff\xff\x7fAVI LIST" + b"\0" * 500,
        lambda data: b"\x00\x00\x01\xba" + b"\xff" * 500,
    ],
    ids=["half", "html", "header", "mp4 of nothing", "webm of nothing", "avi of nothing", "mpeg of nothing"],
)
async def test_what_does_not_play_is_refused(pool: Pool, tmp_path: Path, broken: Any) -> None:
    source = film(tmp_path / "a.mp4")
    source.write_bytes(broken(source.read_bytes()))

    with pytest.raises(JobRefused) as refusal:
        await made(pool, source)

    assert refusal.value.code == "broken_video"


async def test_a_playlist_that_calls_itself_a_film_opens_no_other_file(pool: Pool, tmp_path: Path) -> None:
    source, secret = tmp_path / "a.mp4", film(tmp_path / "secret.mp4")
    source.write_text(f"#EXTM3U\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n")
    assert kind_of(source.read_bytes()[:64]) is None
    (tmp_path / "out").mkdir()

    with pytest.raises(JobRefused):
        await pool.video(source, MP4, tmp_path / "out", Limits())
