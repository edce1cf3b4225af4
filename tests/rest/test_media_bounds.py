"""Uploads in numbers: memory does not grow with them, and who comes too many is asked to come again."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

from tests.clients import Person
from tests.conftest import MakeSettings, SignUp, StartNode
from tests.media.corpus import picture, saved

MEGABYTE = 1024 * 1024
PICTURE = saved(picture(600, 400), "JPEG")
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
FILM = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\x00\xff\xff\xffmdat"
"""It begins like a film, and only who reads all of it sees that it is none."""


def resident() -> int:
    """What this process, server and client in one, has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_memory_does_not_grow_with_an_upload(ann: Person) -> None:
    before, most = 0, 0

    async def film(megabytes: int) -> AsyncIterator[bytes]:
        nonlocal most
        yield HEAD + FILM
        for _ in range(megabytes * 4):
            yield bytes(MEGABYTE // 4)
            most = max(most, resident())
        yield b"\r\n--x--\r\n"

    for size in (8, 96):
        before, most = resident(), 0
        reply = await ann.http.ask("POST", "/api/upload", data=film(size), headers=FORM)
        assert (reply.status, reply.code) == (422, "broken_video")
    assert most - before < 30 * MEGABYTE


class Line:
    """An upload of which the beginning has been sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1]), head + await self.reader.read(4096)


async def begun(person: Person, stack: AsyncExitStack) -> Line:
    """Announce a picture and send its first kilobyte."""
    body = HEAD + PICTURE + b"\r\n--x--\r\n"
    host, port = person.http.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    stack.callback(writer.close)
    headers = {
        "Host": "plaza",
        "Authorization": f"Bearer {person.token}",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **FORM,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"POST /api/upload HTTP/1.1\r\n{head}\r\n".encode() + body[:1000])
    await writer.drain()
    return Line(reader, writer)


async def test_so_many_upload_at_once_and_the_rest_is_asked_to_come_again(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    node = await start_node(make_settings(media={"at_once": 4}, limits={"uploads_per_minute": 1000}))
    ann = await join("ann", node.url)
    async with AsyncExitStack() as stack:
        lines = await asyncio.gather(*(begun(ann, stack) for _ in range(100)))
        answers = {asyncio.create_task(line.answer()): line for line in lines}
        refused: list[tuple[int, bytes]] = []
        waiting = set(answers)
        async with asyncio.timeout(30):
            while len(waiting) > 4:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                refused += [task.result() for task in done]

        assert {status for status, _ in refused} == {503}
        assert all(b"upload_busy" in said and b"Retry-After" in said for _, said in refused)
        rest = (HEAD + PICTURE + b"\r\n--x--\r\n")[1000:]
        for task in waiting:
            answers[task].writer.write(rest)
        admitted = await asyncio.gather(*waiting)
        assert [status for status, _ in admitted] == [201] * 4
    assert (await ann.upload(PICTURE)).status == 201, "there is room again"
