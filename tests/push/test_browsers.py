"""Pushes to browsers: encrypted for them, signed by us, and sent to nowhere but push services."""

import socket
import ssl
import time

import pytest

from common.ids import new_id
from documents.push import PushDevice
from documents.rows import rows
from realtime.features.push import PushService
from realtime.features.push.schemas import Down
from realtime.push_providers.http import Http, Missed, Read, is_public
from tests.clients import Person, eventually
from tests.conftest import Node
from tests.push.browsers import Answer, Browser, PushServer
from tests.push.conftest import CONTACT, Keys, StartPushing, browser, note, outbox, states


async def _is(person: Person, *wanted: str) -> bool:
    return await states(person) == sorted(wanted)


async def test_p21_a_browser_can_read_what_it_gets_and_nobody_else(
    pushes: PushService, plaza: Node, push_server: PushServer, ann: Person
) -> None:
    mine = await browser(ann, plaza, pushes, push_server)
    told = note(ann, data={"userId": "ü"})

    await pushes.put(told)
    await eventually(lambda: _is(ann, "shown"))

    [brought] = push_server.brought
    message = mine.read(brought.body)
    assert (message["title"], message["body"], message["data"]) == (told.title, told.body, told.data)
    assert (message["type"], message["key"], message["badge"]) == (told.type, told.key, told.badge)
    assert brought.headers["Topic"] == message["tag"]
    assert 80_000 < int(brought.headers["TTL"]) <= 86_400
    assert brought.headers["Urgency"] == "high"
    assert told.title.encode() not in brought.body
    with pytest.raises(Exception):  # noqa: B017  (whatever the library says)
        Browser(push_server.url).read(brought.body)


async def test_the_largest_note_there_is_fits(
    pushes: PushService, plaza: Node, push_server: PushServer, ann: Person
) -> None:
    mine = await browser(ann, plaza, pushes, push_server)

    await pushes.put(note(ann, "k" * 200, title="\\" * 500, body='"' * 5000, data={"x": "y" * 500}))
    await eventually(lambda: _is(ann, "shown"))

    assert push_server.of(mine)[0]["body"].endswith("…")


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_is_gone_is_forgotten(
    pushes: PushService, plaza: Node, push_server: PushServer, ann: Person, status: int
) -> None:
    await browser(ann, plaza, pushes, push_server)
    push_server.answers.append(Answer(status))

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann))

    assert await rows(PushDevice).count_documents({"user_id": ann.id}) == 0


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_fails_for_now_is_sent_again(
    pushes: PushService, plaza: Node, push_server: PushServer, ann: Person, status: int
) -> None:
    mine = await browser(ann, plaza, pushes, push_server)
    push_server.answers.append(Answer(status))

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "shown"))

    assert len(push_server.of(mine)) == 1
    assert not push_server.answers


async def test_retry_after_may_be_a_date(
    pushes: PushService, plaza: Node, push_server: PushServer, ann: Person
) -> None:
    await browser(ann, plaza, pushes, push_server)
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 1800))
    push_server.answers.append(Answer(429, {"Retry-After": date}))

    await pushes.put(note(ann))
    await eventually(lambda: not push_server.answers)
    await eventually(lambda: _is_free(ann))

    [row] = await outbox(ann)
    assert 1700 < row["due_at"].timestamp() - time.time() < 1850


async def _is_free(person: Person) -> bool:
    return all(row["claim"] is None for row in await outbox(person))


async def test_a_redirect_leads_nowhere(
    pushes: PushService, plaza: Node, push_server: PushServer, ann: Person
) -> None:
    await browser(ann, plaza, pushes, push_server)
    push_server.answers.append(Answer(307, {"Location": f"{push_server.url}/canary"}))

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "dead"))

    assert push_server.canary_hits == 0


async def test_a_name_that_leads_to_a_private_address_is_not_asked(
    keys: Keys, push_server: PushServer
) -> None:
    """`localhost` stands for any name whose owner has it lead here after it was registered."""
    context = ssl.create_default_context(cadata=keys.ca.cert_pem.bytes().decode())
    lax, strict = Http(context, 1), Http(context, 1, public_only=True)

    answers = [await http.post(f"{push_server.url}/canary", {}, data=b"") for http in (lax, strict)]
    await lax.close()
    await strict.close()

    assert isinstance(answers[0], Read)
    assert answers[1] == Missed(Down("unreachable"))
    assert push_server.canary_hits == 1


async def test_what_was_registered_under_other_rules_is_not_asked(
    pushes: PushService, pushing: StartPushing, plaza: Node, push_server: PushServer, ann: Person
) -> None:
    await browser(ann, plaza, pushes, push_server)
    await pushes.stop()
    strict = await pushing(hosts="fcm.googleapis.com")

    await strict.put(note(ann))
    await eventually(lambda: _is(ann, "dead"))

    assert push_server.brought == []


async def test_a_server_that_does_not_answer_holds_up_no_other(
    pushing: StartPushing, plaza: Node, push_server: PushServer, keys: Keys, ann: Person, bob: Person
) -> None:
    pushes = await pushing(at_once=4, deadline=30.0, lease=60.0)
    hanging = PushServer(keys.browsers.public_key(), CONTACT)
    await hanging.start(keys.certificate)
    hanging.is_open.clear()
    await browser(ann, plaza, pushes, hanging)
    mine = await browser(bob, plaza, pushes, push_server)

    for number in range(10):
        await pushes.put(note(ann, f"key-{number}"))
    await eventually(lambda: _has_one_under_way(ann))
    await pushes.put(note(bob))
    await eventually(lambda: _is(bob, "shown"))

    assert len(push_server.of(mine)) == 1
    hanging.is_open.set()
    await eventually(lambda: hanging.brought)
    await hanging.stop()


async def _has_one_under_way(person: Person) -> bool:
    """Of many; the others have been put back."""
    claims = [row["claim"] for row in await outbox(person)]
    return len(claims) - claims.count(None) == 1


async def test_a_browser_whose_server_is_not_there_holds_up_no_other(
    pushing: StartPushing, plaza: Node, push_server: PushServer, ann: Person, bob: Person
) -> None:
    pushes = await pushing(attempts=1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = PushServer.__new__(PushServer)
        nowhere.url = f"https://localhost:{unused.getsockname()[1]}"
        await browser(ann, plaza, pushes, nowhere)
        mine = await browser(bob, plaza, pushes, push_server)

        for number in range(5):
            await pushes.put(note(ann, f"key-{number}"))
            await pushes.put(note(bob, f"key-{number}"))
        await eventually(lambda: _is(bob, *["shown"] * 5))

    assert len(push_server.of(mine)) == 5
    assert await states(ann) == ["waiting"] * 5


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
        ("ff02::1", False),
        (new_id(), False),
    ],
)
def test_which_addresses_are_public(address: str, expected: bool) -> None:
    assert is_public(address) is expected
