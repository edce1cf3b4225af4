"""People as tests know them: a real HTTP client and real Socket.IO devices, nothing of the server inside."""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
import socketio

Json = Any
WAIT = 5


def new_key() -> str:
    return str(uuid.uuid4())


@dataclass
class Reply:
    """An HTTP answer, read to the end."""

    status: int
    body: Json
    headers: Mapping[str, str]

    @property
    def data(self) -> Json:
        return self.body["data"]

    @property
    def code(self) -> str:
        return self.body["code"]


class Http:
    """A plain HTTP client of one node."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url, self.token = url, token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, method: str, path: str, **options: Any) -> Reply:
        if self._session is None:
            await self.__aenter__()
        assert self._session is not None
        headers = dict(options.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        address = path if path.startswith("http") else self.url + path
        async with self._session.request(method, address, headers=headers, **options) as reply:
            is_json = "json" in reply.headers.get("Content-Type", "")
            return Reply(
                reply.status, await (reply.json() if is_json else reply.text(errors="replace")), reply.headers
            )

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, json: Json = None, **options: Any) -> Reply:
        return await self.ask("POST", path, json=json, **options)

    async def patch(self, path: str, json: Json = None, **options: Any) -> Reply:
        return await self.ask("PATCH", path, json=json, **options)

    async def delete(self, path: str, **options: Any) -> Reply:
        return await self.ask("DELETE", path, **options)


class Refused(AssertionError):
    """An ack said no."""

    def __init__(self, error: Json) -> None:
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.error = error
        self.code: str = error["code"]


@dataclass
class Heard:
    event: str
    data: Json


class Device:
    """One Socket.IO connection (python-socketio's client), and everything it has heard."""

    def __init__(self, url: str, token: str | None, transports: list[str] | None = None) -> None:
        self.url, self.token, self._transports = url, token, transports or ["websocket"]
        self.heard: list[Heard] = []
        self._changed = asyncio.Condition()
        self.closed = asyncio.Event()
        self.sio = socketio.AsyncClient(reconnection=False)
        self.sio.on("*", self._hear)
        self.sio.on("disconnect", self._gone)

    async def connect(self) -> Self:
        auth = {"token": self.token} if self.token is not None else None
        await self.sio.connect(self.url, auth=auth, transports=self._transports, wait_timeout=WAIT)
        return self

    async def close(self) -> None:
        await self.sio.disconnect()

    async def _hear(self, event: str, data: Json = None) -> None:
        async with self._changed:
            self.heard.append(Heard(event, data))
            self._changed.notify_all()

    async def _gone(self, *_: object) -> None:
        self.closed.set()

    async def ack(self, event: str, payload: Json = None) -> Json:
        """Emit and return the whole ack."""
        return await self.sio.call(event, payload if payload is not None else {}, timeout=WAIT)

    async def call(self, event: str, payload: Json = None) -> Json:
        """Emit and return the data of a good ack; raises `Refused`."""
        answer = await self.ack(event, payload)
        if not answer["ok"]:
            raise Refused(answer["error"])
        return answer["data"]

    async def refused(self, event: str, payload: Json = None) -> str:
        """Emit what must be refused; the code of the refusal."""
        answer = await self.ack(event, payload)
        assert answer["ok"] is False, answer
        return answer["error"]["code"]

    async def send(self, text: str, **fields: Json) -> Json:
        """Send a message with a key of its own unless one is given."""
        return await self.call("send_message", {"clientId": new_key(), "text": text, **fields})

    def all(self, event: str) -> list[Json]:
        return [one.data for one in self.heard if one.event == event]

    async def wait_for(
        self, event: str, fits: Callable[[Json], bool] = lambda _: True, seconds: float = WAIT
    ) -> Json:
        """The first heard `event` that fits, now or soon."""

        def found() -> Json | None:
            return next((one for one in self.heard if one.event == event and fits(one.data)), None)

        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: found() is not None), seconds)
        hit = found()
        assert hit is not None
        return hit.data

    async def wait_until(self, condition: Callable[[], bool], seconds: float = WAIT) -> None:
        """Until `condition` holds after something was heard."""
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(condition), seconds)

    async def hears_nothing_but(self, *events: str) -> bool:
        """After a round trip: everything said before it has arrived, and only these events were among it."""
        await self.call("sync", {})
        return all(one.event in events for one in self.heard)


@dataclass
class Person:
    """Somebody who signed up."""

    http: Http
    id: str
    handle: str
    email: str
    password: str
    token: str
    refresh_token: str
    devices: list[Device] = field(default_factory=list)

    async def device(self, url: str | None = None, transports: list[str] | None = None) -> Device:
        """A new connection of this person."""
        device = await Device(url or self.http.url, self.token, transports).connect()
        self.devices.append(device)
        return device

    async def befriend(self, other: "Person") -> None:
        assert (await self.http.post("/api/friends/request", {"userId": other.id})).status < 300
        assert (await other.http.post("/api/friends/accept", {"userId": self.id})).status < 300

    async def upload(self, data: bytes, path: str = "/api/upload", **fields: str) -> Reply:
        """Upload a file, which some routes want with fields beside it."""
        form = aiohttp.FormData()
        for name, value in fields.items():
            form.add_field(name, value)
        form.add_field("image" if "image" in path else "file", data, filename="a.bin")
        return await self.http.ask("POST", path, data=form)

    async def leave(self) -> None:
        for device in self.devices:
            await device.close()
        await self.http.__aexit__()


async def sign_up(url: str, name: str = "someone") -> Person:
    """Sign somebody up through the front door."""
    handle = f"{name}{uuid.uuid4().hex[:10]}"
    password, email = f"{handle}-secret", f"{handle}@example.org"
    http = await Http(url).__aenter__()
    reply = await http.post(
        "/api/auth/signup", {"email": email, "password": password, "name": name, "handle": handle}
    )
    assert reply.status == 201, reply.body
    http.token = reply.body["access_token"]
    return Person(
        http,
        reply.data["user"]["id"],
        handle,
        email,
        password,
        reply.body["access_token"],
        reply.body["refresh_token"],
    )


async def eventually(condition: Callable[[], Any], seconds: float = WAIT) -> None:
    """Poll until `condition` (a function, or one that returns an awaitable) is true."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError("it did not happen in time")
        await asyncio.sleep(0.02)
