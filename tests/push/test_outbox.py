"""The outbox: what is put is sent once, whatever happens to those who send, and taken back when read."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from common import metrics
from common.clock import now
from common.ids import new_id
from documents.push import Claims, PushDelivery, PushDevice
from documents.rows import rows
from realtime.features.presence import MemoryPresence
from realtime.features.push import Providers, PushService
from realtime.features.push.schemas import Alert
from realtime.features.push.service.sorting import Errand
from tests.clients import Person, eventually
from tests.conftest import Node
from tests.push.apple import Answer, Apple
from tests.push.browsers import PushServer
from tests.push.conftest import (
    StartPushing,
    android,
    browser,
    iphone,
    new_token,
    note,
    outbox,
    register,
    states,
)
from tests.push.google import Google


async def _is(person: Person, *wanted: str) -> bool:
    return await states(person) == sorted(wanted)


# -- who sends


async def test_p21_every_device_of_a_person_gets_a_note_once(
    pushes: PushService, plaza: Node, apple: Apple, google: Google, push_server: PushServer, ann: Person
) -> None:
    phones = {await iphone(ann), await iphone(ann)}
    await android(ann)
    mine = await browser(ann, plaza, pushes, push_server)

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, *["shown"] * 4))

    assert {asked.token for asked in apple.asked} == phones
    assert (len(apple.asked), len(google.sent), len(push_server.of(mine))) == (2, 1, 1)


async def test_c15_many_nodes_send_each_note_once(pushing: StartPushing, apple: Apple, ann: Person) -> None:
    nodes = [await pushing(at_once=5) for _ in range(4)]
    await iphone(ann)

    await asyncio.gather(*(nodes[number % 4].put(note(ann, f"key-{number}")) for number in range(40)))
    await eventually(lambda: _is(ann, *["shown"] * 40), seconds=15)

    assert Counter(asked.body["key"] for asked in apple.asked) == {f"key-{n}": 1 for n in range(40)}
    assert apple.connections > 1


async def test_c15_what_several_nodes_find_one_takes(pushing: StartPushing, ann: Person) -> None:
    pushes = await pushing(delay=0.0)
    await pushes.stop()
    await iphone(ann)
    await asyncio.gather(*(pushes.put(note(ann, f"key-{number}")) for number in range(30)))
    found = [row["_id"] for row in await outbox(ann)]

    at_once = await asyncio.gather(*(Claims._take(found, 60.0) for _ in range(10)))
    later = await Claims._take(found, 60.0)

    assert sorted(one.id for some in at_once for one in some) == sorted(found)
    assert later == []


async def test_what_a_node_took_before_it_died_is_sent_by_another(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    dying = await pushing(delay=0.0)
    await dying.stop()
    await iphone(ann)
    await dying.put(note(ann))
    [taken] = await Claims.take("ios", 10, 1.0)

    await pushing()
    assert await Claims.take("ios", 10, 1.0) == []
    assert apple.asked == []
    await eventually(lambda: _is(ann, "shown"))

    assert len(apple.asked) == 1
    assert (await outbox(ann))[0]["attempts"] == taken.attempts + 1


async def test_c15_who_wakes_up_after_their_lease_changes_nothing(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    frozen = await pushing()
    await frozen.stop()
    await iphone(ann)
    await frozen.put(note(ann))
    [mine] = await Claims.take("ios", 10, 0.1)
    await pushing()
    await eventually(lambda: _is(ann, "shown"))
    before = await outbox(ann)

    said = [
        await Claims.shown(mine, 60),
        await Claims.later(mine, 0, reached=True, counts=True),
        await Claims.died(mine, "why", 60),
    ]
    await Claims.dropped(mine)
    await Claims.removed(mine)
    await _send_late(frozen, mine)

    assert said == [False] * 3
    assert await outbox(ann) == before
    assert len(apple.asked) == 1


async def _send_late(pushes: PushService, mine: PushDelivery) -> None:
    """Go on with what was about to be sent when this process was stopped."""
    device = (await PushDevice.among([mine.device_id]))[mine.device_id]
    alert = Alert(new_id(), "type", mine.key, "tag", "title", "body", {}, 1, now())
    await pushes._couriers["ios"]._dispatch.send(
        Errand(device, alert, [mine]), asyncio.get_running_loop().time() + 1.0
    )


async def test_a_node_that_stops_finishes_what_it_is_sending(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    pushes = await pushing()
    await iphone(ann)
    apple.is_slow = True
    await pushes.put(note(ann))
    await eventually(lambda: apple.asked)

    stopping = asyncio.ensure_future(pushes.stop())
    await asyncio.sleep(0)
    apple.hurry()
    await stopping

    assert await states(ann) == ["shown"]


async def test_without_providers_nothing_is_written_down(plaza: Node, ann: Person) -> None:
    logins = plaza.services.accounts.sessions
    pushes = PushService(plaza.services.settings.push, Providers({}), logins, MemoryPresence())
    await register(ann, "ios", new_token())

    await pushes.put(note(ann))
    await pushes.dismiss(ann.id, ["a-key"])

    assert await outbox(ann) == []


async def test_who_has_no_device_costs_nothing(pushes: PushService, ann: Person) -> None:
    await pushes.put(note(ann))

    assert await outbox(ann) == []


# -- what is sent


async def test_a_newer_note_takes_the_place_of_one_that_waits(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    pushes = await pushing(delay=0.5)
    await iphone(ann)

    for number in range(5):
        await pushes.put(note(ann, body=f"number {number}"))
    await eventually(lambda: _is(ann, "shown"))

    assert [asked.body["aps"]["alert"]["body"] for asked in apple.asked] == ["number 4"]


async def test_a_newer_note_waits_until_the_older_one_has_arrived(
    pushes: PushService, apple: Apple, ann: Person
) -> None:
    await iphone(ann)
    apple.is_slow = True
    await pushes.put(note(ann, body="old"))
    await eventually(lambda: apple.asked)

    await pushes.put(note(ann, body="new"))
    await pushes.put(note(ann, "another"))
    await eventually(lambda: [asked.body["key"] for asked in apple.asked] == ["a-key", "another"])
    apple.hurry()
    await eventually(lambda: _is(ann, "shown", "shown"))

    bodies = [asked.body["aps"]["alert"]["body"] for asked in apple.asked if asked.body["key"] == "a-key"]
    assert bodies == ["old", "new"]
    assert len({asked.headers["apns-collapse-id"] for asked in apple.asked}) == 2


async def test_the_same_note_again_is_not_sent_again(pushes: PushService, apple: Apple, ann: Person) -> None:
    await iphone(ann)
    told = note(ann)

    await asyncio.gather(*(pushes.put(told) for _ in range(10)))
    await eventually(lambda: _is(ann, "shown"))
    await pushes.put(told)
    await pushes.put(note(ann, "another"))
    await eventually(lambda: len(apple.asked) > 1)

    assert [asked.body["key"] for asked in apple.asked] == ["a-key", "another"]


async def test_a_log_in_that_ends_before_the_note_is_sent_gets_none(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    pushes = await pushing(delay=0.3)
    await iphone(ann)
    await pushes.put(note(ann))

    await ann.http.post("/api/auth/logout")
    await eventually(lambda: _is(ann))

    assert apple.asked == []
    assert await rows(PushDevice).count_documents({"user_id": ann.id}) == 0


async def test_a_phone_that_changes_hands_before_the_note_is_sent_does_not_show_it(
    pushing: StartPushing, apple: Apple, ann: Person, bob: Person
) -> None:
    pushes = await pushing(delay=0.3)
    token = await iphone(ann)
    await pushes.put(note(ann))

    await register(bob, "ios", token)
    await eventually(lambda: _is(ann))

    assert apple.asked == []


# -- what goes wrong


async def test_c14_poison_dies_and_stops_nothing(pushes: PushService, apple: Apple, ann: Person) -> None:
    token = await iphone(ann)
    device = PushDevice.id_of("ios", token)
    whole = {
        "user_id": ann.id,
        "device_id": device,
        "platform": "ios",
        "key": "k",
        "mark": "m",
        "content": "no json",
        "state": "waiting",
        "taken_back": False,
        "tried": False,
        "was_tried": False,
        "claim": None,
        "attempts": 0,
        "why": "",
        "put_at": now(),
        "due_at": now(),
        "expires_at": now().replace(year=2100),
    }
    before = metrics.pushes.labels("ios", "dead")._value.get()
    poison: list[dict[str, Any]] = [
        {"_id": new_id(), **whole},
        {"_id": new_id(), **whole, "content": '{"title": 1}'},
        {"_id": new_id(), **whole, "content": "[]"},
        {"_id": new_id(), **whole, "content": None},
        {"_id": new_id(), **whole, "attempts": "many"},
        {"_id": new_id(), **whole, "key": 7},
        {"_id": new_id(), **whole, "due_at": 5},
        {"_id": new_id(), "user_id": ann.id, "platform": "ios", "state": "waiting", "due_at": now()},
    ]
    await rows(PushDelivery).insert_many(poison)

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "shown", *["dead"] * len(poison)))

    assert [asked.body["key"] for asked in apple.asked] == ["a-key"]
    assert metrics.pushes.labels("ios", "dead")._value.get() >= before + 6


async def test_c14_a_note_that_always_fails_is_given_up_and_the_others_are_sent(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    pushes = await pushing(attempts=3, backoff=0.01, failures=1000)
    await iphone(ann)
    apple.answers.extend(Answer(500, "InternalServerError") for _ in range(3))

    await pushes.put(note(ann, "bad"))
    await eventually(lambda: _is(ann, "dead"))
    await pushes.put(note(ann, "good"))
    await eventually(lambda: _is(ann, "dead", "shown"))

    assert Counter(asked.body["key"] for asked in apple.asked) == {"bad": 3, "good": 1}


async def test_an_outage_of_a_provider_costs_no_note_however_long_it_lasts(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    pushes = await pushing(attempts=2, backoff=0.01, failures=1, pause=0.05)
    await iphone(ann)
    apple.answers.extend(Answer(503, "ServiceUnavailable") for _ in range(5))

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "shown"), seconds=20)

    assert not apple.answers


# -- taking back


async def test_p21_what_is_read_is_not_sent(pushing: StartPushing, apple: Apple, ann: Person) -> None:
    pushes = await pushing(delay=60.0)
    await iphone(ann)
    await pushes.put(note(ann, "read"))
    await pushes.put(note(ann, "unread"))

    await pushes.dismiss(ann.id, ["read", "unknown"])

    assert [row["key"] for row in await outbox(ann)] == ["unread"]
    assert apple.asked == []


async def test_p21_what_is_read_disappears_from_all_devices(
    pushes: PushService, plaza: Node, apple: Apple, google: Google, push_server: PushServer, ann: Person
) -> None:
    phones = {await iphone(ann), await iphone(ann)}
    await android(ann)
    mine = await browser(ann, plaza, pushes, push_server)
    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, *["shown"] * 4))

    await pushes.dismiss(ann.id, ["a-key"])
    await eventually(lambda: _is(ann))

    tag = apple.alerts[0].body["tag"]
    assert {asked.token for asked in apple.removals} == phones
    for asked in apple.removals:
        assert asked.headers["apns-priority"] == "5"
        assert "apns-collapse-id" not in asked.headers
        assert asked.body == {
            "aps": {"content-available": 1},
            "type": "dismiss",
            "keys": ["a-key"],
            "tags": [tag],
        }
    silent = google.sent[1]
    assert "notification" not in silent
    assert silent["data"] == {"type": "dismiss", "keys": '["a-key"]', "tags": f'["{tag}"]'}
    assert push_server.of(mine)[1] == {"type": "dismiss", "keys": ["a-key"], "tags": [tag]}


async def test_everything_that_is_read_at_once_is_removed_by_one_push(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    pushes = await pushing(at_once=4)
    await iphone(ann)
    names = {f"key-{number}" for number in range(30)}
    await asyncio.gather(*(pushes.put(note(ann, name)) for name in names))
    await eventually(lambda: _is(ann, *["shown"] * 30), seconds=10)

    await pushes.dismiss(ann.id, list(names))
    await eventually(lambda: _is(ann))

    assert [set(asked.body["keys"]) for asked in apple.removals] == [names]


async def test_what_is_read_while_it_is_being_sent_is_removed_when_it_has_arrived(
    pushes: PushService, apple: Apple, ann: Person
) -> None:
    await iphone(ann)
    apple.is_slow = True
    await pushes.put(note(ann))
    await eventually(lambda: apple.asked)

    await pushes.dismiss(ann.id, ["a-key"])
    await pushes.put(note(ann, "another"))
    await eventually(lambda: len(apple.alerts) == 2)
    assert apple.removals == []
    apple.hurry()
    await eventually(lambda: _is(ann, "shown"))

    assert [asked.body["keys"] for asked in apple.removals] == [["a-key"]]


async def test_what_was_read_before_it_could_be_sent_again_is_not(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    pushes = await pushing(backoff=0.3)
    await iphone(ann)
    apple.is_slow = True
    apple.answers.append(Answer(500, "InternalServerError"))
    await pushes.put(note(ann))
    await eventually(lambda: apple.asked)

    await pushes.dismiss(ann.id, ["a-key"])
    apple.hurry()
    await eventually(lambda: _is(ann))

    assert len(apple.asked) == 1


async def test_what_a_node_that_died_may_have_sent_is_removed(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    dying = await pushing()
    await dying.stop()
    await iphone(ann)
    await dying.put(note(ann))
    await Claims.take("ios", 10, 0.2)

    pushes = await pushing()
    await pushes.dismiss(ann.id, ["a-key"])
    await eventually(lambda: _is(ann))

    assert [asked.body["keys"] for asked in apple.removals] == [["a-key"]]
    assert apple.alerts == []


async def test_what_was_read_may_come_again(pushes: PushService, apple: Apple, ann: Person) -> None:
    await iphone(ann)
    told = note(ann)
    for _ in range(2):
        await pushes.put(told)
        await eventually(lambda: _is(ann, "shown"))
        await pushes.dismiss(ann.id, ["a-key"])
        await eventually(lambda: _is(ann))

    assert (len(apple.alerts), len(apple.removals)) == (2, 2)


async def test_nobody_takes_back_what_is_anothers(
    pushes: PushService, apple: Apple, ann: Person, bob: Person
) -> None:
    await iphone(ann)
    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "shown"))

    await pushes.dismiss(bob.id, ["a-key"])

    assert await states(ann) == ["shown"]
    assert apple.removals == []


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_comes_at_once_the_devices_end_with_what_was_said_last(
    pushing: StartPushing, apple: Apple, ann: Person, seed: int
) -> None:
    """Two nodes send, a third of the answers are bad, and notes and dismissals race."""
    nodes = [await pushing(backoff=0.01, attempts=50, failures=1000) for _ in range(2)]
    phone = await iphone(ann)
    apple.answers.extend(
        Answer(*(((500, "x"), (200, ""), (429, "TooManyRequests"))[n % 3])) for n in range(30)
    )

    for turn in range(12):
        who = nodes[(turn + seed) % 2]
        if (turn + seed) % 3 == 2:
            await who.dismiss(ann.id, ["a-key"])
        else:
            await who.put(note(ann, body=f"turn {turn}"))
    await nodes[0].put(note(ann, body="last"))
    await eventually(lambda: _is(ann, "shown"), seconds=10)

    assert phone == apple.asked[-1].token
    assert apple.asked[-1].body["aps"]["alert"]["body"] == "last"
    await nodes[1].dismiss(ann.id, ["a-key"])
    await eventually(lambda: _is(ann), seconds=10)
    assert apple.asked[-1].body["type"] == "dismiss"
