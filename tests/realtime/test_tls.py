"""TLS in the process itself: no descriptor to write to directly, and everything else as without it."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from itertools import count, islice
from pathlib import Path

import aiohttp
import pytest
import trustme

from tests.conftest import MakeSettings, Node, SignUp, StartNode
from tests.raw import RawSocket


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def secure(
    authority: trustme.CA, tmp_path: Path, make_settings: MakeSettings, start_node: StartNode
) -> AsyncIterator[Node]:
    """A node that speaks TLS, with a certificate for localhost."""
    issued = authority.issue_cert("localhost")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    issued.private_key_pem.write_to_path(key)
    for part in issued.cert_chain_pems:
        part.write_to_path(certificate, append=True)
    node = await start_node(
        make_settings(tls={"certificate": certificate, "key": key}, limits={"outgoing_bytes": 65_536})
    )
    node.url = node.url.replace("http://127.0.0.1", "https://localhost")
    yield node


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_conversation_goes_over_tls(
    secure: Node, plaza: Node, authority: trustme.CA, join: SignUp
) -> None:
    ann, bob = await join("ann"), await join("bob")
    tls = trusting(authority)
    async with RawSocket(secure.url, tls=tls) as hers, RawSocket(secure.url, tls=tls) as his:
        assert (await hers.open(ann.token)).startswith("40")
        assert (await his.open(bob.token)).startswith("40")

        body = json.dumps({"to": bob.id, "text": "hello", "clientId": "one"})
        assert (await hers.answer(f'421["send_message",{body}]', 1))["ok"]
        while "new_message" not in (heard := await his.hear()):
            assert heard
        assert '"hello"' in heard


async def test_a_reader_over_tls_who_does_not_read_is_cut(
    secure: Node, plaza: Node, authority: trustme.CA, join: SignUp
) -> None:
    ann, bob = await join("ann"), await join("bob")
    tls = trusting(authority)
    async with RawSocket(secure.url, tls=tls) as his:
        await his.open(bob.token)
        his.stop_reading()
        listeners = secure.services.local.listeners
        assert listeners(f"user:{bob.id}")
        async with RawSocket(secure.url, tls=tls) as hers, asyncio.timeout(60):
            await hers.open(ann.token)
            numbers = count()
            while listeners(f"user:{bob.id}"):
                for number in islice(numbers, 50):
                    body = json.dumps({"to": bob.id, "text": "€" * 4000, "clientId": str(number)})
                    await hers.say(f'42["send_message",{body}]')
                assert (await hers.answer('420["ping",{}]', 0))["ok"]


async def test_who_speaks_no_tls_is_not_answered(secure: Node) -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientError):
            await http.get(secure.url.replace("https", "http") + "/livez")


async def test_a_certificate_without_its_key_is_no_setting(make_settings: MakeSettings) -> None:
    with pytest.raises(ValueError, match="both a certificate and a key"):
        make_settings(tls={"certificate": Path("certificate.pem")})
