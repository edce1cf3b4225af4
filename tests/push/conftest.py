"""Push services of all three kinds on this machine, with keys made for the test, and nodes that use them."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from common.ids import Id, new_id
from common.push_settings import Push as PushSettings
from documents.push import PushDelivery, PushDevice
from documents.rows import Raw, rows
from realtime.features.presence import MemoryPresence
from realtime.features.push import PushNote, PushService
from realtime.features.push.schemas import DeviceIn, Focus
from realtime.push_providers import configured
from tests.clients import Person
from tests.conftest import Node
from tests.push.apple import Apple
from tests.push.browsers import Browser, PushServer
from tests.push.google import Google

KEY_ID, TEAM, TOPIC = "ABC123DEFG", "DEF123GHIJ", "org.example.plaza"
EMAIL, PROJECT = "push@plaza-test.iam.example", "plaza-test"
CONTACT = "mailto:push@example.org"


@dataclass
class Keys:
    """Everything secret, in files as an operator has them."""

    apple: ec.EllipticCurvePrivateKey
    google: rsa.RSAPrivateKey
    browsers: ec.EllipticCurvePrivateKey
    ca: trustme.CA
    certificate: trustme.LeafCert
    folder: Path

    def write(self, name: str, text: bytes) -> Path:
        file = self.folder / name
        file.write_bytes(text)
        return file


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    ca = trustme.CA()
    return Keys(
        ec.generate_private_key(ec.SECP256R1()),
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ca,
        ca.issue_cert("localhost", "127.0.0.1"),
        tmp_path_factory.mktemp("push"),
    )


@pytest.fixture
async def apple(keys: Keys) -> AsyncIterator[Apple]:
    server = Apple(keys.apple.public_key(), KEY_ID, TEAM)
    await server.start(keys.certificate)
    yield server
    await server.stop()


@pytest.fixture
async def google(keys: Keys) -> AsyncIterator[Google]:
    server = Google(keys.google.public_key(), EMAIL, PROJECT)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def push_server(keys: Keys) -> AsyncIterator[PushServer]:
    server = PushServer(keys.browsers.public_key(), CONTACT)
    await server.start(keys.certificate)
    yield server
    await server.stop()


MakePush = Callable[..., dict[str, Any]]


@pytest.fixture
def push_settings(keys: Keys, apple: Apple, google: Google, push_server: PushServer) -> MakePush:
    """The group `push`: all three providers, everything soon; overridden by keyword."""
    account = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "a-key",
        "private_key": pem(keys.google).decode(),
        "client_email": EMAIL,
        "token_uri": f"{google.url}/token",
    }
    files = {
        "apple": keys.write("apple.p8", pem(keys.apple)),
        "google": keys.write("google.json", json.dumps(account).encode()),
        "browsers": keys.write("vapid.pem", pem(keys.browsers)),
        "ca": keys.write("ca.pem", keys.ca.cert_pem.bytes()),
    }

    def make(*, hosts: str = "localhost", **changes: Any) -> dict[str, Any]:
        return {
            "apns": {
                "key": files["apple"],
                "key_id": KEY_ID,
                "team_id": TEAM,
                "topic": TOPIC,
                "url": apple.url,
            },
            "fcm": {"credentials": files["google"], "url": google.url},
            "web": {
                "key": files["browsers"],
                "contact": CONTACT,
                "hosts": hosts,
                "private_addresses": True,
            },
            "ca": files["ca"],
            "delay": 0.0,
            "hold": 0.0,
            "poll": 0.05,
            "backoff": 0.05,
            "pause": 0.2,
            "deadline": 5.0,
            "lease": 30.0,
            **changes,
        }

    return make


StartPushing = Callable[..., Awaitable[PushService]]


@pytest.fixture
async def pushing(plaza: Node, push_settings: MakePush) -> AsyncIterator[StartPushing]:
    """Start what sends pushes on a node, beside the shared node; nothing is left over of earlier tests."""
    await rows(PushDelivery).delete_many({})
    await rows(PushDevice).delete_many({})
    started: list[PushService] = []

    async def start(focus: Focus | None = None, **changes: Any) -> PushService:
        settings = PushSettings(**push_settings(**changes))
        logins = plaza.services.accounts.sessions
        service = PushService(settings, configured(settings), logins, focus or MemoryPresence())
        await service.start()
        started.append(service)
        return service

    yield start
    for service in started:
        await service.stop()


@pytest.fixture
async def pushes(pushing: StartPushing) -> PushService:
    return await pushing()


def new_token() -> str:
    """A device token as Apple makes them."""
    return (new_id() + new_id()).replace("-", "")


async def register(person: Person, platform: str, token: Any) -> Id:
    reply = await person.http.post("/api/devices", {"platform": platform, "token": token})
    assert reply.status == 201, reply.body
    return reply.data["id"]


async def iphone(person: Person) -> str:
    """A phone of this person; its token."""
    token = new_token()
    await register(person, "ios", token)
    return token


async def android(person: Person) -> str:
    token = f"{new_id()}:APA91b{new_id()}"
    await register(person, "android", token)
    return token


async def browser(person: Person, plaza: Node, pushes: PushService, server: PushServer) -> Browser:
    """A browser of this person, made known where browsers may be on this machine."""
    found = Browser(server.url)
    identity = await plaza.services.accounts.authenticate(person.token)
    await pushes.devices.register(identity, DeviceIn(platform="web", token=found.subscription))
    return found


def note(person: Person, key: str = "a-key", **changes: Any) -> PushNote:
    fields: dict[str, Any] = {
        "notification_id": new_id(),
        "type": "friend_request",
        "title": "Bob",
        "body": "wants to be friends",
        "data": {"userId": person.id},
        "badge": 3,
    }
    return PushNote(user_id=person.id, key=key, **{**fields, **changes})


async def outbox(person: Person) -> list[Raw]:
    return await rows(PushDelivery).find({"user_id": person.id}).to_list()


async def states(person: Person) -> list[str]:
    return sorted(row["state"] for row in await outbox(person))
