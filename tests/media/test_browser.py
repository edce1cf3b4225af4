"""A browser plays what was uploaded: by HLS, and by jumping about in the file."""

import os
from pathlib import Path

import pytest
from PIL import Image

from tests.clients import Person
from tests.media.browser import Browser
from tests.media.films import RATE, film

SECONDS = 4
SIZE = (640, 360)


def grainy(path: Path) -> bytes:
    """A film that cannot be made small: nobody fetches all of it to see its end."""
    noise = [Image.frombytes("RGB", SIZE, os.urandom(SIZE[0] * SIZE[1] * 3)) for _ in range(4)]
    shown = (noise[number % len(noise)] for number in range(SECONDS * RATE))
    tuning = {"preset": "ultrafast", "qp": "18", "g": str(RATE)}
    return film(path, seconds=SECONDS, size=SIZE, shown=shown, tuning=tuning).read_bytes()


PLAY = """
new Promise((done, failed) => {
  document.body.innerHTML = '<video muted preload=metadata></video>';
  const film = document.querySelector('video');
  film.onerror = () => failed(new Error(`${film.error.code}: ${film.error.message}`));
  film.ontimeupdate = () => { if (film.currentTime > 0.5) { film.pause(); done(film.currentTime); } };
  film.src = ADDRESS;
  film.play().catch(failed);
})
"""
SEEK = """
new Promise((done, failed) => {
  const film = document.querySelector('video');
  film.onseeked = () => done([film.currentTime, film.videoWidth, film.readyState]);
  film.currentTime = WHERE;
})
"""


@pytest.fixture
async def address(ann: Person, tmp_path: Path) -> str:
    """Where a film is, that has been cut."""
    device = await ann.device()
    reply = await ann.upload(grainy(tmp_path / "a.mp4"))
    assert reply.status == 201, reply.body
    await device.wait_for("media_ready", lambda said: said["media"]["id"] == reply.data["id"], 60)
    signed = await ann.http.get(f"{reply.data['url']}/url")
    return ann.http.url + signed.data["url"]


async def test_a_browser_plays_and_seeks(address: str, tmp_path: Path) -> None:
    async with Browser(tmp_path / "browser") as browser:
        await browser.open(address.partition("/api/")[0] + "/api/health")
        await browser.slow_down(3_000_000)  # so that it does not have all of it before it seeks
        for what in ("", "&variant=hls"):
            browser.answers.clear()
            played = await browser.run(PLAY.replace("ADDRESS", repr(address + what)))
            assert 0.5 < played < SECONDS, what
            for where in (3.4, 1.2):
                landed, width, ready = await browser.run(SEEK.replace("WHERE", str(where)))
                assert abs(landed - where) < 0.1, what
                assert (width, ready >= 2) == (SIZE[0], True)
            statuses = [status for status, url in browser.answers if "/api/media/" in url]
            assert set(statuses) <= {200, 206}, browser.answers
            assert statuses.count(206) >= 2, browser.answers
        assert any("variant=hls-" in url for _, url in browser.answers), "it was played by HLS"
