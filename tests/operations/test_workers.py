"""Several workers behind one port: one Plaza, whichever of them a connection meets, lives or dies."""

import asyncio
import contextlib
import os
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from common.engines import Engines
from common.engines.ports import free_port
from tests.clients import Person, eventually, new_key, sign_up
from tests.js.driver import App
from tests.operations.program import POLL, Program, environment, fresh_connections, handshake, is_running

WORKERS = 2


@pytest.fixture(scope="module")
async def parent(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Program]:
    """A parent with two workers, shared by the tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("workers")
    async with started(engines, folder) as program:
        await program.says("Plaza serves on")
        yield program


def started(engines: Engines, folder: Path, *arguments: str) -> Program:
    port = str(free_port())
    env = {**environment(engines, folder, f"test_{uuid.uuid4().hex[:12]}"), "PLAZA_PORT": port}
    return Program.realtime("serve", "--workers", str(WORKERS), *arguments, env=env, cwd=folder)


async def url_of(program: Program) -> str:
    return "http://127.0.0.1:" + (await program.says("Plaza serves on")).split(":")[2].split()[0]


@pytest.fixture
async def url(parent: Program) -> str:
    return await url_of(parent)


@pytest.fixture
async def people(url: str) -> AsyncIterator[tuple[Person, Person]]:
    ann, bob = await sign_up(url, "ann"), await sign_up(url, "bob")
    yield ann, bob
    await ann.leave()
    await bob.leave()


# -- one port


async def test_connections_spread_over_all_workers(url: str) -> None:
    async with fresh_connections() as http:
        owners = [(await handshake(http, url)).partition(".")[0] for _ in range(40)]

    assert set(owners) == {"w0", "w1"}


async def test_a_polling_session_is_found_from_every_connection(
    url: str, people: tuple[Person, Person]
) -> None:
    async with fresh_connections() as http:
        here = f"{url}{POLL}&sid={await handshake(http, url)}"
        token = people[0].token
        async with http.post(here, data=f'40{{"token":"{token}"}}') as reply:
            assert (reply.status, await reply.text()) == (200, "OK")
        heard = ""
        while '40{"sid":' not in heard:
            async with http.get(here) as reply:
                assert reply.status == 200
                heard += await reply.text()

        for number in range(20):
            async with http.post(here, data=f'42{number}["sync",{{}}]') as reply:
                assert (reply.status, await reply.text()) == (200, "OK")
        while f"43{19}[" not in heard:
            async with http.get(here) as reply:
                assert reply.status == 200
                heard += await reply.text()

    assert all(f"43{number}[" in heard for number in range(20))


async def test_a_connection_that_moved_is_held_by_nobody_once_its_client_has_gone(
    parent: Program, url: str
) -> None:
    pids = (await parent.tells("workers_started"))["pids"]
    async with fresh_connections() as http:
        sids = [await handshake(http, url) for _ in range(4)]
        before = sum(open_files(pid) for pid in pids)
        for sid in sids * 10:
            async with http.post(f"{url}{POLL}&sid={sid}", data="3") as reply:
                assert reply.status == 200

    await eventually(lambda: sum(open_files(pid) for pid in pids) <= before)


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.parametrize(
    "options",
    [pytest.param({}, id="default-options"), pytest.param({"transports": ["polling"]}, id="polling")],
)
async def test_javascript_clients_talk_across_workers(
    url: str, people: tuple[Person, Person], options: dict[str, list[str]]
) -> None:
    ann, bob = people
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(App(url, ann.token, **options)) for _ in range(4)]
        bobs = await stack.enter_async_context(App(url, bob.token, **options))
        for app in (*apps, bobs):
            await app.tells("synced")
            if not options:
                await app.tells("upgraded")
        for app in apps:
            body = {"to": bob.id, "text": "hello", "clientId": new_key()}
            assert (await app.call("send_message", body))["ok"]

        for app in (*apps, bobs):
            assert [message["seq"] for message in await app.shows(4)] == [1, 2, 3, 4]
            assert app.told("disconnected") == []


async def test_a_request_of_nobodys_session_is_refused_where_it_arrives(url: str) -> None:
    async with fresh_connections() as http:
        for sid in ("w0.unknown", "w1.unknown", "w9.unknown", "unknown"):
            async with http.get(f"{url}{POLL}&sid={sid}") as reply:
                assert reply.status == 400
            async with http.post(f"{url}{POLL}&sid={sid}", data=iter_body()) as reply:
                assert reply.status == 400, "a body of unknown length is not passed on"


async def iter_body() -> AsyncIterator[bytes]:
    yield b"40"


# -- workers that end


async def test_a_worker_that_dies_is_replaced_and_the_others_do_not_notice(
    parent: Program, url: str, people: tuple[Person, Person]
) -> None:
    pids = (await parent.tells("workers_started"))["pids"]
    ann, bob = people
    anns = [await ann.device() for _ in range(12)]
    first = next(device for device in anns if device.sio.eio.sid.startswith("w0."))
    second = next(device for device in anns if device.sio.eio.sid.startswith("w1."))

    os.kill(pids[0], signal.SIGKILL)

    await asyncio.wait_for(first.closed.wait(), 10)
    bobs = await bob.device()
    await bobs.send("still there?", to=ann.id)
    await second.wait_for("new_message")
    assert not second.closed.is_set()
    assert (await parent.tells("worker_died"))["worker"] == "w0"
    async with fresh_connections() as http:

        async def both_answer() -> bool:
            return {(await handshake(http, url)).partition(".")[0] for _ in range(12)} == {"w0", "w1"}

        await eventually(both_answer, 60)


async def test_hup_replaces_all_workers_one_after_the_other(
    parent: Program, url: str, people: tuple[Person, Person]
) -> None:
    ann, _ = people
    device = await ann.device()

    parent.process.send_signal(signal.SIGHUP)

    assert (await device.wait_for("server_draining", seconds=30))["reconnect_after_ms"] > 0
    refused = 0
    async with fresh_connections() as http:
        while not any('"event":"workers_renewed"' in line for line in parent.lines):
            with contextlib.suppress(aiohttp.ClientConnectionError):  # met a listener that was just closing
                async with http.get(f"{url}/readyz") as reply:
                    refused += reply.status != 200
    assert refused == 0
    old, new = (
        (await parent.tells("workers_started"))["pids"],
        (await parent.tells("workers_renewed"))["pids"],
    )
    assert not set(old) & set(new)
    assert not any("Traceback" in line for line in parent.lines)
    assert not any(is_running(pid) for pid in old)


# -- the end of all


async def test_a_port_that_is_taken_is_said_in_one_line(
    parent: Program, url: str, engines: Engines, tmp_path: Path
) -> None:
    other = started(engines, tmp_path, "--port", url.rpartition(":")[2])
    async with other:
        assert await asyncio.wait_for(other.process.wait(), 60) == 1
    said = [line for line in other.lines if not line.startswith("{")]
    assert len(said) == 1
    assert said[0].startswith("cannot listen on port")


async def test_a_parent_that_is_killed_takes_its_workers_along(engines: Engines, tmp_path: Path) -> None:
    async with started(engines, tmp_path) as program:
        pids = (await program.tells("workers_started"))["pids"]

        await program.end(signal.SIGKILL)

        await eventually(lambda: not any(is_running(pid) for pid in pids), 20)


# The last one: nobody serves behind it.
async def test_sigterm_drains_every_worker(parent: Program, url: str, people: tuple[Person, Person]) -> None:
    devices = [await people[0].device() for _ in range(8)]

    parent.process.send_signal(signal.SIGTERM)

    for device in devices:
        await device.wait_for("server_draining", seconds=10)
        await device.close()
    assert await asyncio.wait_for(parent.process.wait(), 30) == 0
    assert "worker_killed" not in "".join(parent.lines)
