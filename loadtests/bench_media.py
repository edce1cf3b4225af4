"""`make bench-media`: megabytes a second that one client gets and gives, beside nginx with the same file.

It needs an nginx with its WebDAV module, on PATH or by `--nginx` (Debian: `apt install nginx`, or unpack the
package anywhere). Server, client and nginx share all cores; rounds alternate, the median counts. Plaza hashes
what is uploaded and flushes it to the disk before it answers; nginx does neither.
"""

import argparse
import asyncio
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import av
from PIL import Image

from common.engines.ports import LOOPBACK, answers, free_port
from loadtests import media_page
from loadtests.bench import machine
from loadtests.client import Account
from loadtests.crowd import sign_up
from loadtests.report import table
from loadtests.server import MANY, Rig, run_orderly

MEGABYTE = 1_000_000
SIZE, RATE, GRAIN = (640, 360), 25, 6
READY_WITHIN = 300.0
NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen {host}:{port}; root {folder}/www; location / {{ dav_methods PUT DELETE; }} }}
}}
"""


class NoNginx(Exception):
    """There is no nginx to compare with, or it does not run."""


@dataclass
class Bench:
    """What is asked for, and the rates that were reached."""

    rounds: int
    rates: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list[float]))

    async def get(self, name: str, url: str, token: str = "") -> None:
        size, seconds = await asyncio.to_thread(_get, url, token)
        self.rates[name].append(size / MEGABYTE / seconds)

    async def send(self, name: str, url: str, data: bytes, **headers: str) -> None:
        method = "PATCH" if "Upload_Offset" in headers else "PUT"
        seconds = await asyncio.to_thread(_send, method, url, data, headers)
        self.rates[name].append(len(data) / MEGABYTE / seconds)


def _connected(url: str, head: str) -> socket.socket:
    parts = urlsplit(url)
    line = socket.create_connection((parts.hostname, parts.port), timeout=60)
    line.sendall(head.replace("PATH", f"{parts.path}?{parts.query}" if parts.query else parts.path).encode())
    return line


def _get(url: str, token: str) -> tuple[int, float]:
    """Fetch a file and throw it away: its size, and the seconds."""
    started, buffer, size = time.perf_counter(), bytearray(1 << 20), 0
    access = f"Authorization: Bearer {token}\r\n" if token else ""
    with _connected(url, f"GET PATH HTTP/1.1\r\nHost: x\r\n{access}Connection: close\r\n\r\n") as line:
        while read := line.recv_into(buffer):
            if not size and b" 200 " not in buffer[:16]:
                raise RuntimeError(buffer[:read])
            size += read
    return size, time.perf_counter() - started


def _send(method: str, url: str, data: bytes, headers: dict[str, str]) -> float:
    """Send a file and wait for the answer."""
    started = time.perf_counter()
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    lines += f"Content-Length: {len(data)}\r\nConnection: close\r\n"
    head = f"{method} PATH HTTP/1.1\r\nHost: x\r\n{lines}\r\n"
    with _connected(url, head) as line:
        line.sendall(data)
        answer = line.recv(4096)
    if not answer[9:12].startswith(b"20"):
        raise RuntimeError(answer)
    return time.perf_counter() - started


def _film(path: Path, seconds: int) -> bytes:
    """A film of noise: it takes about 6 MB a second."""
    dice = random.Random(5)
    noise = [Image.frombytes("RGB", SIZE, dice.randbytes(SIZE[0] * SIZE[1] * 3)) for _ in range(GRAIN)]
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "qp": "18"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        for number in range(seconds * RATE):
            output.mux(video.encode(av.VideoFrame.from_image(noise[number % GRAIN])))
        output.mux(video.encode(None))
    return path.read_bytes()


async def _uploaded(http: aiohttp.ClientSession, url: str, who: Account, film: bytes) -> str:
    """Its address, once it has been cut and nothing else is going on."""
    headers = {"Authorization": f"Bearer {who.token}"}
    form = aiohttp.FormData()
    form.add_field("file", film, filename="film.mp4")
    async with http.post(f"{url}/api/upload", data=form, headers=headers) as reply:
        media = (await reply.json())["data"]
    async with asyncio.timeout(READY_WITHIN):
        while media["state"] != "ready":
            await asyncio.sleep(0.5)
            async with http.get(f"{url}/api/media", headers=headers) as reply:
                media = (await reply.json())["data"][0]
    return url + media["url"]


async def _begun(http: aiohttp.ClientSession, url: str, who: Account, length: int) -> str:
    """An upload in pieces that will never be whole: only the taking and keeping of bytes is measured."""
    headers = {
        "Authorization": f"Bearer {who.token}",
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(length + 1),
    }
    async with http.post(f"{url}/api/uploads", headers=headers) as reply:
        return url + reply.headers["Location"] if reply.status == 201 else ""


async def _plaza(bench: Bench, kind: str, film: bytes, front: str) -> None:
    """All rounds with one storage; in each, nginx does the same."""
    settings = {
        "PLAZA_STORAGE__DISK_FROM": "0" if kind == "disk" else "1000000000",
        "PLAZA_LIMITS__UPLOADS_PER_MINUTE": MANY,
    }
    async with Rig(nodes=1, settings=settings) as rig, aiohttp.ClientSession() as http:
        who = await sign_up(http, rig.urls[0], "reader")
        address = await _uploaded(http, rig.urls[0], who, film)
        for _ in range(bench.rounds):
            await bench.get(f"download, Plaza ({kind})", address, who.token)
            await bench.get("download, nginx", f"{front}/film.mp4")
            piece = await _begun(http, rig.urls[0], who, len(film))
            await bench.send(
                f"upload, Plaza ({kind})", piece, film,
                Authorization=f"Bearer {who.token}", Tus_Resumable="1.0.0", Upload_Offset="0",
                Content_Type="application/offset+octet-stream",
            )  # fmt: skip
            await http.delete(
                piece, headers={"Authorization": f"Bearer {who.token}", "Tus-Resumable": "1.0.0"}
            )
            await bench.send("upload, nginx", f"{front}/up.bin", film)
            (await http.delete(f"{front}/up.bin")).close()


async def run(nginx: str, seconds: int, rounds: int) -> tuple[Bench, int]:
    """Both storages beside nginx; the size of the film."""
    bench, folder = Bench(rounds), Path(tempfile.mkdtemp(prefix="plaza-bench-"))
    port, server = free_port(), None
    try:
        folder.chmod(0o755)
        (folder / "www").mkdir(mode=0o777)
        (folder / "www").chmod(0o777)
        film = _film(folder / "www" / "film.mp4", seconds)
        (folder / "conf").write_text(NGINX.format(folder=folder, host=LOOPBACK, port=port))
        server = subprocess.Popen([nginx, "-c", str(folder / "conf"), "-p", str(folder)])
        async with asyncio.timeout(10):
            while not await answers(port):
                if server.poll() is not None:
                    raise NoNginx("nginx does not start")
                await asyncio.sleep(0.05)
        for kind in ("disk", "mongodb"):
            await _plaza(bench, kind, film, f"http://{LOOPBACK}:{port}")
        return bench, len(film)
    finally:
        if server is not None:
            server.terminate()
            server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write the page."""
    options = argparse.ArgumentParser(prog="python -m loadtests.bench_media", description=__doc__)
    options.add_argument("--nginx", default=shutil.which("nginx"), help="the program, if it is not on PATH")
    options.add_argument("--quick", action="store_true", help="a small film, two rounds; the page stays")
    given = options.parse_args(arguments)
    if given.nginx is None:
        print("bench-media needs nginx on PATH, or --nginx with the path of one", file=sys.stderr)
        return 1
    seconds, rounds = (3, 2) if given.quick else (16, 7)
    bench, size = run_orderly(run(given.nginx, seconds, rounds))
    rows = [(name, statistics.median(rates)) for name, rates in sorted(bench.rates.items())]
    print(
        table(
            f"a film of {size / MEGABYTE:.0f} MB, {rounds} rounds", [(n, f"{r:,.0f} MB/s") for n, r in rows]
        )
    )
    if not given.quick:
        about = (
            f"`make bench-media`: a film of {size / MEGABYTE:.0f} MB, one client, one connection each time,\n"
            f"on {machine.describe()}. The median of {rounds} rounds. Plaza hashes uploads and flushes\n"
            "them to the disk before it answers (pieces of 8 MiB, tus), and asks who may see a download;\n"
            "nginx does neither."
        )
        media_page.write_speed(about, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
