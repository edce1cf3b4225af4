"""`make upload-load`: what memory a server takes for uploads of 150 MB, one of them and ten at once.

The server is the one that anybody runs, with its own mongod. Its resident memory is looked at all the time;
the processes that decode are not counted, for they have limits of their own.
"""

import argparse
import asyncio
import contextlib
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from loadtests import media_page
from loadtests.client import Account
from loadtests.crowd import sign_up
from loadtests.report import table
from loadtests.server import MANY, Node, Rig, run_orderly

MEGABYTE = 1024 * 1024
PIECE = MEGABYTE // 4
LOOK_EVERY = 0.02
ONE_AIM, TEN_AIM, CROWD_AIM = 30, 100, 300
SETTINGS = {"PLAZA_MEDIA__AT_ONCE": "10", "PLAZA_LIMITS__UPLOADS_PER_MINUTE": MANY}
FILM = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\x7f\xff\xff\xffmdat"
"""It begins like a film, and only who reads all of it sees that it is none."""
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="film.mp4"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"


@dataclass
class Watch:
    """The memory of a process: when we began to look, and the most there was."""

    pid: int
    before: int = 0
    most: int = 0

    @asynccontextmanager
    async def looking(self) -> AsyncGenerator[None]:
        self.before = self.most = self._resident()
        task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _look(self) -> None:
        while True:
            self.most = max(self.most, self._resident())
            await asyncio.sleep(LOOK_EVERY)

    def _resident(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    @property
    def grown(self) -> float:
        """Megabytes."""
        return (self.most - self.before) / MEGABYTE


@dataclass
class Round:
    """Some uploads at once: how much memory they took, how long, and what was said."""

    count: int
    aim: int
    grown: float = 0.0
    seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter[str])


async def _film(size: int) -> AsyncIterator[bytes]:
    yield HEAD + FILM
    left, piece = size - len(FILM), bytes(PIECE)
    while left > 0:
        yield piece[:left]
        left -= PIECE
    yield TAIL


async def _upload(http: aiohttp.ClientSession, url: str, who: Account, size: int) -> str:
    headers = {
        "Authorization": f"Bearer {who.token}",
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": str(len(HEAD) + size + len(TAIL)),
        "Expect": "100-continue",
    }
    try:
        async with http.post(f"{url}/api/upload", data=_film(size), headers=headers) as reply:
            return f"{reply.status} {(await reply.json()).get('code', '')}"
    except aiohttp.ClientError:
        return "cut off"  # the answer was overtaken by the end of the connection


async def _round(node: Node, who: Account, one: Round, size: int) -> Round:
    connector = aiohttp.TCPConnector(limit=0)
    watch, started = Watch(node.pid), time.perf_counter()
    async with aiohttp.ClientSession(connector=connector) as http, watch.looking():
        said = await asyncio.gather(*(_upload(http, node.url, who, size) for _ in range(one.count)))
    one.grown, one.seconds, one.answers = watch.grown, time.perf_counter() - started, Counter(said)
    return one


async def run(size: int) -> list[Round]:
    """One upload, ten, and a hundred of which ten may come in."""
    rounds = [Round(1, ONE_AIM), Round(10, TEN_AIM), Round(100, CROWD_AIM)]
    async with Rig(nodes=1, settings=SETTINGS) as rig, aiohttp.ClientSession() as http:
        who = await sign_up(http, rig.urls[0], "uploader")
        await _upload(http, rig.urls[0], who, MEGABYTE)  # the first one starts the process that decodes
        return [await _round(rig.nodes[0], who, one, size) for one in rounds]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write the page; 1 when memory grew more than it may."""
    options = argparse.ArgumentParser(prog="python -m loadtests.upload_load", description=__doc__)
    options.add_argument("--megabytes", type=int, default=150)
    options.add_argument("--quick", action="store_true", help="20 MB each; the page stays")
    given = options.parse_args(arguments)
    megabytes = 20 if given.quick else given.megabytes
    rounds = run_orderly(run(megabytes * MEGABYTE))
    shown = [
        (
            f"{one.count} at once",
            f"+{one.grown:.1f} MB (aim {one.aim}), {one.seconds:.1f} s, {dict(one.answers)}",
        )
        for one in rounds
    ]
    print(table(f"uploads of {megabytes} MB: resident memory of the server", shown))
    if not given.quick:
        media_page.write_memory(megabytes, [(one.count, one.grown, one.aim, one.seconds) for one in rounds])
    return 1 if any(one.grown > one.aim for one in rounds) else 0


if __name__ == "__main__":
    sys.exit(main())
