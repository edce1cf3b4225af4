"""A push service for browsers, over TLS, and a browser that can read what it brings."""

import asyncio
import json
import ssl
from base64 import urlsafe_b64encode
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import http_ece
import jwt
import trustme
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.ids import new_id

Json = Any


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@dataclass
class Browser:
    """Has keys of its own, and an address at the push service."""

    service: str
    name: str = field(default_factory=new_id)
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    secret: bytes = field(default_factory=lambda: new_id().encode()[:16])

    @property
    def subscription(self) -> Json:
        keys = {"p256dh": b64(point(self.key.public_key())), "auth": b64(self.secret)}
        return {"endpoint": f"{self.service}/push/{self.name}", "expirationTime": None, "keys": keys}

    def read(self, body: bytes) -> Json:
        plain = http_ece.decrypt(body, private_key=self.key, auth_secret=self.secret, version="aes128gcm")
        return json.loads(plain)


@dataclass
class Brought:
    """One message, as it arrived."""

    name: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    status: int = 201
    headers: dict[str, str] = field(default_factory=dict)


class PushServer:
    """Checks who sends and keeps what is sent. `answers` are given in order, then everything is well."""

    def __init__(self, key: ec.EllipticCurvePublicKey, contact: str) -> None:
        self._key, self._contact = key, contact
        self.brought: list[Brought] = []
        self.answers: deque[Answer] = deque()
        self.canary_hits = 0
        self.is_open = asyncio.Event()
        """Until then, nothing is answered."""
        self.is_open.set()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self, certificate: trustme.LeafCert) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        app = web.Application()
        app.router.add_post("/push/{name}", self._take)
        app.router.add_route("*", "/canary", self._canary)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.url = f"https://localhost:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def of(self, browser: Browser) -> list[Json]:
        """What a browser got, in its own words."""
        return [browser.read(one.body) for one in self.brought if one.name == browser.name]

    async def _take(self, request: web.Request) -> web.Response:
        scheme, _, rest = request.headers["Authorization"].partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        assert scheme == "vapid"
        assert parts["k"] == b64(point(self._key))
        claims = jwt.decode(parts["t"], self._key, algorithms=["ES256"], audience=self.url)
        assert claims["sub"] == self._contact
        body = await request.read()
        await self.is_open.wait()
        assert request.headers["Content-Encoding"] == "aes128gcm"
        assert len(body) <= 4096
        answer = self.answers.popleft() if self.answers else Answer()
        if answer.status < 300:
            self.brought.append(Brought(request.match_info["name"], dict(request.headers), body))
        return web.Response(status=answer.status, headers=answer.headers)

    async def _canary(self, request: web.Request) -> web.Response:
        self.canary_hits += 1
        return web.Response(status=201)
