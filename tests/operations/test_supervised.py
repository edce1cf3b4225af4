"""`supervisord -c supervisord.conf` on one machine, seen through its front."""

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.clients import Http, Person, eventually, new_key, sign_up
from tests.js.driver import App
from tests.operations.machine import CORES, Machine
from tests.operations.program import POLL, fresh_connections, handshake, is_running


@pytest.fixture(scope="module")
async def machine() -> AsyncIterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="plaza-") as folder:  # a short name: sockets have little room
        async with Machine(Path(folder)) as machine:
            yield machine


@pytest.fixture
async def people(machine: Machine) -> AsyncIterator[tuple[Person, Person]]:
    ann, bob = await sign_up(machine.url, "ann"), await sign_up(machine.url, "bob")
    yield ann, bob
    await ann.leave()
    await bob.leave()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="default-options"),
        pytest.param({"transports": ["websocket"]}, id="websocket-only"),
        pytest.param({"transports": ["polling"]}, id="polling-only"),
    ],
)
async def test_javascript_clients_talk_through_the_front(
    machine: Machine, people: tuple[Person, Person], options: dict[str, list[str]]
) -> None:
    ann, bob = people
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(App(machine.url, ann.token, **options)) for _ in range(3)]
        apps.append(await stack.enter_async_context(App(machine.url, bob.token, **options)))
        for app in apps:
            await app.tells("synced")
            if not options:
                await app.tells("upgraded")
        for app in apps[:3]:
            body = {"to": bob.id, "text": "hello", "clientId": new_key()}
            assert (await app.call("send_message", body))["ok"]
        reply = await bob.http.post("/api/messages", {"to": ann.id, "text": "by REST", "clientId": new_key()})
        assert reply.status == 201, reply.body

        for app in apps:
            assert [message["seq"] for message in await app.shows(4)] == [1, 2, 3, 4]
            assert app.told("disconnected") == []


async def test_a_polling_session_stays_with_its_process_without_any_cookie(machine: Machine) -> None:
    async with fresh_connections() as http:
        sids = [await handshake(http, machine.url) for _ in range(4)]
        for sid in sorted(sids) * 3:  # not in the order in which the front would deal them out
            async with http.post(f"{machine.url}{POLL}&sid={sid}", data="3") as reply:
                assert (reply.status, await reply.text(), reply.cookies) == (200, "OK", {})

    assert {sid.partition(".")[0] for sid in sids} == set(CORES)


async def test_each_part_is_reached_and_figures_are_not(machine: Machine) -> None:
    async with Http(machine.url) as http:
        assert (await http.get("/api/users/search?q=x")).status == 401
        assert (await http.get("/docs")).status == 200
        for path in ("/metrics", "/metrics/", "/%6detrics", "//metrics", "/METRICS"):
            assert (await http.get(path)).status == 404
    async with Http(machine.own_url("core0")) as http:
        assert "plaza_connections" in (await http.get("/metrics")).body
        assert (await http.get("/api/users/search?q=x")).status == 404


async def test_where_a_request_comes_from_is_told_by_the_front_alone(machine: Machine) -> None:
    forged = {"X-Forwarded-For": "192.0.2.1", "X-Real-IP": "192.0.2.1", "Forwarded": "for=192.0.2.1"}
    for source in ("127.0.0.1", "127.0.0.2"):
        person = await sign_up(machine.url)
        async with fresh_connections(local_addr=(source, 0)) as http:
            headers = {**forged, "Authorization": f"Bearer {person.token}"}
            body = {"identifier": person.handle, "password": person.password}
            async with http.post(f"{machine.url}/api/auth/login", json=body, headers=forged) as reply:
                assert reply.status == 200
            async with http.get(f"{machine.url}/api/auth/sessions", headers=headers) as reply:
                sessions = (await reply.json())["data"]
        await person.leave()
        assert {session["address"] for session in sessions} == {"127.0.0.1", source}


async def test_a_core_is_restarted_under_its_clients(machine: Machine, people: tuple[Person, Person]) -> None:
    ann, bob = people
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(App(machine.url, ann.token)) for _ in range(4)]
        for app in apps:
            await app.tells("upgraded")

        assert "core0: started" in await machine.control("restart", "core:core0")

        moved = [app for app in apps if "disconnected" in app.names]
        assert moved
        for app in moved:
            assert (await app.hears("server_draining"))["reconnect_after_ms"] > 0
            await app.tells("connected", 2)
        await machine.serves_with_all()
        anns = await ann.device()
        await anns.send("after", to=bob.id)
        for app in apps:
            assert [message["text"] for message in await app.shows(1)] == ["after"]


async def test_a_core_that_is_killed_comes_back_and_its_clients_go_on_elsewhere(
    machine: Machine, people: tuple[Person, Person]
) -> None:
    ann, bob = people
    async with AsyncExitStack() as stack:
        options = {"transports": ["polling"]}
        apps = [await stack.enter_async_context(App(machine.url, ann.token, **options)) for _ in range(4)]
        for app in apps:
            await app.tells("synced")
        pid = await machine.pid("core:core1")

        os.kill(pid, signal.SIGKILL)

        await eventually(lambda: not is_running(pid))
        await machine.serves_with_all()
        moved = [app for app in apps if "disconnected" in app.names]
        assert moved
        for app in moved:
            await app.tells("synced", 2)
        await (await bob.device()).send("after", to=ann.id)
        for app in apps:
            assert [message["text"] for message in await app.shows(1)] == ["after"]


async def test_nothing_is_left_when_it_stops(machine: Machine, people: tuple[Person, Person]) -> None:
    device = await people[0].device()
    pids = [await machine.pid(name) for name in ("engines", "front", "core:core0", "sidecar:sidecar0")]
    mongod = int(re.findall(r"\d+", (machine.folder / "data" / "mongo" / "mongod.lock").read_text())[0])

    machine.supervisor.process.send_signal(signal.SIGTERM)

    assert await device.wait_for("server_draining", seconds=20)
    await device.close()
    assert await asyncio.wait_for(machine.supervisor.process.wait(), 60) == 0
    assert not any(is_running(pid) for pid in (*pids, mongod))
