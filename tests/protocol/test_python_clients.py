"""The stock Python clients with the options people give them: asynchronous, in threads, and coming back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import socketio
from socketio.exceptions import ConnectionError as ConnectionRefused

from tests.clients import WAIT, Person, new_key
from tests.conftest import MakeSettings, Node, SignUp, StartNode
from tests.js.driver import Line

any_transport = pytest.mark.parametrize(
    ("transports", "ends_on"),
    [
        pytest.param(None, "websocket", id="default-options"),
        pytest.param(["websocket"], "websocket", id="websocket-only"),
        pytest.param(["polling"], "polling", id="polling-only"),
    ],
)


class App:
    """An `AsyncClient` that comes back by itself, and what it has heard."""

    def __init__(self) -> None:
        soon: Any = 0.05  # seconds; whole ones would be declared
        self.sio = socketio.AsyncClient(reconnection_delay=soon, reconnection_delay_max=soon)
        self.connects = 0
        self.texts: list[str] = []
        self._changed = asyncio.Condition()
        self.sio.on("connect", self._connected)
        self.sio.on("new_message", self._heard)

    async def _connected(self) -> None:
        self.connects += 1
        await self._tell()

    async def _heard(self, message: dict[str, Any]) -> None:
        self.texts.append(message["text"])
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def connect(self, url: str, token: str, transports: list[str] | None) -> None:
        await self.sio.connect(url, auth={"token": token}, transports=transports, wait_timeout=WAIT)

    async def has_connected(self, times: int) -> None:
        async with self._changed, asyncio.timeout(2 * WAIT):
            await self._changed.wait_for(lambda: self.connects >= times)

    async def shows(self, *texts: str) -> None:
        async with self._changed, asyncio.timeout(2 * WAIT):
            await self._changed.wait_for(lambda: self.texts == list(texts))


@pytest.fixture
async def app() -> AsyncIterator[App]:
    client = App()
    yield client
    await client.sio.shutdown()


async def say(person: Person, to: Person, text: str) -> None:
    reply = await person.http.post("/api/messages/send", {"to": to.id, "text": text, "clientId": new_key()})
    assert reply.status < 300, reply


@any_transport
async def test_a_conversation_with_the_options_people_use(
    plaza: Node, ann: Person, bob: Person, app: App, transports: list[str] | None, ends_on: str
) -> None:
    await app.connect(plaza.url, bob.token, transports)
    assert app.sio.transport() == ends_on
    anns = await ann.device()
    for n in range(5):
        await anns.send(f"{n} ✓", to=bob.id)
    await app.shows(*[f"{n} ✓" for n in range(5)])
    body = {"to": ann.id, "text": "yes", "clientId": new_key()}
    answer: Any = await app.sio.call("send_message", body, timeout=WAIT)
    assert answer["data"]["seq"] == 6
    assert app.connects == 1


@any_transport
async def test_a_client_comes_back_by_itself_after_the_server_restarted(
    make_settings: MakeSettings,
    start_node: StartNode,
    join: SignUp,
    app: App,
    transports: list[str] | None,
    ends_on: str,
) -> None:
    settings = make_settings()
    first, second = await start_node(settings), await start_node(settings)
    ann, bob = await join("ann", second.url), await join("bob", second.url)
    anns = await ann.device()
    async with Line(first.url) as line:
        await app.connect(line.url, bob.token, transports)
        await app.has_connected(1)

        line.mend(second.url)
        await first.server.stop()
        await app.has_connected(2)

        assert app.sio.transport() in {ends_on, "polling"}
        await anns.send("after", to=bob.id)
        await app.shows("after")
        await app.sio.shutdown()


@any_transport
async def test_a_client_comes_back_by_itself_after_its_connection_broke(
    plaza: Node, ann: Person, bob: Person, app: App, transports: list[str] | None, ends_on: str
) -> None:
    anns = await ann.device()
    async with Line(plaza.url) as line:
        await app.connect(line.url, bob.token, transports)
        await app.has_connected(1)

        line.cut()
        line.mend()
        await app.has_connected(2)

        await anns.send("after", to=bob.id)
        await app.shows("after")
        await app.sio.shutdown()


@any_transport
async def test_the_client_for_threads(
    plaza: Node, ann: Person, transports: list[str] | None, ends_on: str
) -> None:
    def talk() -> tuple[str, bool]:
        client = socketio.Client(reconnection=False)
        client.connect(plaza.url, auth={"token": ann.token}, transports=transports, wait_timeout=WAIT)
        answer: Any = client.call("sync", {}, timeout=WAIT)
        transport = client.transport()
        client.disconnect()
        return transport, answer["ok"]

    assert await asyncio.to_thread(talk) == (ends_on, True)
    assert all(session.user_id != ann.id for session in plaza.services.gateway.sessions)


async def test_a_bad_token_is_refused_with_the_error_object(plaza: Node) -> None:
    client = socketio.AsyncClient(reconnection=False)
    refusals: list[Any] = []
    client.on("connect_error", refusals.append)
    with pytest.raises(ConnectionRefused):
        await client.connect(plaza.url, auth={"token": "rubbish"}, wait_timeout=WAIT)
    assert [refusal["data"]["code"] for refusal in refusals] == ["invalid_token"]
