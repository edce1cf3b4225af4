"""Images from strangers: what is kept of them, and what is refused."""

import asyncio
import os
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from media.kinds import HEIC, PNG, kind_of
from media.pool import Bounds, JobRefused, Pool, PoolBusy
from tests.media.corpus import (
    CANARY,
    POLYGLOTS,
    REFUSED,
    STRANGE,
    moving,
    picture,
    saved,
    with_secrets,
)

CODECS = ["JPEG", "PNG", "WEBP", "GIF", "HEIF"]


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(2)
    yield pool
    await pool.stop()


async def made(pool: Pool, folder: Path, data: bytes) -> dict[str, Any]:
    """What becomes of an upload, with the bytes of each file."""
    source, out = folder / "upload", folder / "made"
    source.write_bytes(data)
    out.mkdir(exist_ok=True)
    kind = kind_of(data[:64])
    assert kind is not None, "it is accepted at first sight"
    result = await pool.image(source, kind, out)
    for file in result["files"]:
        file["data"] = (out / file["path"]).read_bytes()
    return result


def opened(file: dict[str, Any]) -> Any:
    image = Image.open(BytesIO(file["data"]))
    image.load()
    return image


@pytest.mark.parametrize("codec", CODECS)
async def test_nothing_but_pixels_comes_through(pool: Pool, tmp_path: Path, codec: str) -> None:
    data = with_secrets(codec)
    assert CANARY in data or codec == "GIF"

    result = await made(pool, tmp_path, data)

    for file in result["files"]:
        image = opened(file)
        assert b"CANARY" not in file["data"]
        assert not image.getexif()
        assert not {"exif", "xmp", "comment", "icc_profile", "photoshop"} & image.info.keys()


@pytest.mark.parametrize("codec", ["JPEG", "PNG", "WEBP", "HEIF"])
async def test_pictures_stand_upright(pool: Pool, tmp_path: Path, codec: str) -> None:
    """Turned a quarter clockwise: the white corner at the upper left is at the upper right."""
    result = await made(pool, tmp_path, with_secrets(codec))

    image = opened(result["files"][0]).convert("RGB")
    assert image.size == (result["width"], result["height"]) == (300, 400)
    assert min(image.getpixel((295, 5))) > 200
    assert image.getpixel((150, 100))[0] > 150
    assert image.getpixel((150, 350))[2] > 150


@pytest.mark.parametrize(
    ("data", "size", "type_", "variants"),
    [
        (saved(picture(4000, 3000), "JPEG"), (1920, 1440), "image/jpeg", ["medium", "small", "thumb"]),
        (saved(picture(1000, 500), "PNG"), (1000, 500), "image/jpeg", ["small", "thumb"]),
        (saved(picture(200, 100), "WEBP"), (200, 100), "image/jpeg", []),
        (saved(picture(50, 3000), "PNG"), (32, 1920), "image/jpeg", ["medium", "small", "thumb"]),
        (saved(picture(700, 700, "L"), "PNG"), (700, 700), "image/jpeg", ["small", "thumb"]),
        (saved(picture(300, 300, "CMYK"), "JPEG"), (300, 300), "image/jpeg", ["thumb"]),
        (saved(picture(300, 300, "P"), "PNG"), (300, 300), "image/jpeg", ["thumb"]),
        (saved(picture(300, 300, "1"), "PNG"), (300, 300), "image/jpeg", ["thumb"]),
        (saved(Image.new("I;16", (300, 300), 40_000), "PNG"), (300, 300), "image/jpeg", ["thumb"]),
        (
            saved(Image.new("RGBA", (800, 600), (9, 9, 9, 99)), "PNG"),
            (800, 600),
            "image/webp",
            ["small", "thumb"],
        ),
        (saved(Image.new("LA", (300, 300), (9, 99)), "PNG"), (300, 300), "image/webp", ["thumb"]),
        (saved(Image.new("RGBA", (300, 300), (9, 9, 9, 255)), "PNG"), (300, 300), "image/jpeg", ["thumb"]),
        (saved(picture(1, 1), "GIF"), (1, 1), "image/jpeg", []),
    ],
    ids=[
        "large",
        "wide",
        "small",
        "tall",
        "grey",
        "cmyk",
        "palette",
        "bits",
        "16 bits",
        "alpha",
        "grey alpha",
        "alpha for nothing",
        "one pixel",
    ],
)
async def test_what_is_kept_of_an_image(
    pool: Pool, tmp_path: Path, data: bytes, size: tuple[int, int], type_: str, variants: list[str]
) -> None:
    result = await made(pool, tmp_path, data)

    main, *rest = result["files"]
    assert (main["variant"], main["content_type"]) == ("", type_)
    assert opened(main).size == (main["width"], main["height"]) == size
    assert len(result["blurhash"]) == 28
    assert [file["variant"] for file in rest if file["content_type"] == "image/webp"] == variants
    assert [file["variant"] for file in rest if file["content_type"] == "image/avif"] == variants
    for file in rest:
        assert opened(file).size == (file["width"], file["height"])
        assert max(file["width"], file["height"]) in {1280, 640, 256}
        assert len(file["data"]) == file["size"]


async def test_grey_of_16_bits_keeps_its_brightness(pool: Pool, tmp_path: Path) -> None:
    result = await made(pool, tmp_path, saved(Image.new("I;16", (300, 300), 32_768), "PNG"))

    assert abs(opened(result["files"][0]).convert("L").getpixel((9, 9)) - 128) <= 2


@pytest.mark.parametrize("codec", ["GIF", "WEBP", "PNG"])
async def test_an_animation_stays_one(pool: Pool, tmp_path: Path, codec: str) -> None:
    result = await made(pool, tmp_path, moving(12, codec=codec))

    image = opened(result["files"][0])
    assert result["animated"]
    assert (image.format, image.n_frames, image.size) == ("WEBP", 12, (64, 48))
    assert image.info["loop"] == 0


@pytest.mark.parametrize("name", REFUSED)
async def test_what_wants_to_hurt_is_refused(pool: Pool, tmp_path: Path, name: str) -> None:
    make, code = REFUSED[name]
    before = resident()

    with pytest.raises(JobRefused) as refusal:
        await made(pool, tmp_path, make())

    assert refusal.value.code == code
    assert resident() - before < 250_000_000, "what was decoded was decoded elsewhere"


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_not_accepted_is_known_by_its_first_bytes(name: str) -> None:
    assert kind_of(STRANGE[name]()[:64]) is None


@pytest.mark.parametrize("name", POLYGLOTS)
async def test_of_two_things_in_one_file_only_the_image_is_left(
    pool: Pool, tmp_path: Path, name: str
) -> None:
    result = await made(pool, tmp_path, POLYGLOTS[name]())

    assert all(CANARY not in file["data"] and b"<script" not in file["data"] for file in result["files"])


async def test_a_job_that_takes_too_much_dies_alone(tmp_path: Path) -> None:
    tight = Pool(1, Bounds(cpu_seconds=0, wall_seconds=30))
    with pytest.raises(JobRefused) as refusal:
        await made(tight, tmp_path, moving(60, (900, 900)))
    after = await made(tight, tmp_path, saved(picture(50, 50), "PNG"))

    assert refusal.value.code == "too_expensive"
    assert after["width"] == 50
    await tight.stop()


async def test_a_job_that_hangs_is_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "upload")
    hasty = Pool(1, Bounds(wall_seconds=0.5))
    (tmp_path / "made").mkdir()

    with pytest.raises(JobRefused) as refusal:
        await hasty.image(tmp_path / "upload", PNG, tmp_path / "made")

    assert refusal.value.code == "too_expensive"
    await hasty.stop()


async def test_no_more_jobs_wait_than_may(tmp_path: Path) -> None:
    pool = Pool(1, waiting=2)
    folders = [tmp_path / str(number) for number in range(6)]
    for folder in folders:
        folder.mkdir()

    data = saved(picture(), "PNG")
    results = await asyncio.gather(*(made(pool, folder, data) for folder in folders), return_exceptions=True)

    assert sum(isinstance(one, PoolBusy) for one in results) == 3
    assert sum(isinstance(one, dict) for one in results) == 3
    await pool.stop()


def test_heic_is_known_by_each_of_its_names() -> None:
    assert {kind_of(b"\0\0\0\x18ftyp" + brand) for brand in (b"heic", b"mif1", b"heix")} == {HEIC}
