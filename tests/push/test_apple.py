"""Pushes to iPhones, against a server that speaks Apple's protocol."""

import asyncio
import time
from collections import Counter

import pytest

from common import metrics
from common.clock import now
from realtime.features.push import PushService
from tests.clients import Person, eventually
from tests.push.apple import Answer, Apple
from tests.push.conftest import (
    TEAM,
    TOPIC,
    Keys,
    StartPushing,
    android,
    iphone,
    new_token,
    note,
    outbox,
    register,
    states,
)
from tests.push.google import Google


async def test_p21_an_alert_arrives_as_apple_wants_it(pushes: PushService, apple: Apple, ann: Person) -> None:
    token = await iphone(ann)
    told = note(ann, "a very long key " * 10, data={"userId": "x", "$odd.name": "$y"})

    await pushes.put(told)
    await eventually(lambda: apple.asked)
    await eventually(lambda: _is(ann, "shown"))

    asked = apple.asked[0]
    assert asked.path == f"/3/device/{token}"
    assert asked.headers["apns-topic"] == TOPIC
    assert asked.headers["apns-push-type"] == "alert"
    assert asked.headers["apns-priority"] == "10"
    assert len(asked.headers["apns-collapse-id"]) == 32
    assert 80_000 < int(asked.headers["apns-expiration"]) - time.time() < 90_000
    assert abs(asked.claims["iat"] - time.time()) < 60
    assert asked.claims["iss"] == TEAM
    assert asked.body["aps"]["alert"] == {"title": "Bob", "body": "wants to be friends"}
    assert asked.body["aps"]["badge"] == 3
    assert (asked.body["key"], asked.body["notification_id"]) == (told.key, told.notification_id)
    assert asked.body["tag"] == asked.headers["apns-collapse-id"]
    assert asked.body["data"] == told.data
    assert len(apple.asked) == 1


async def _is(person: Person, *wanted: str) -> bool:
    return await states(person) == sorted(wanted)


async def test_many_notes_share_one_connection_and_one_provider_token(
    pushes: PushService, apple: Apple, ann: Person
) -> None:
    """Together they are more than the server takes before it has read some of it."""
    await iphone(ann)
    long = "x" * 2500

    await asyncio.gather(*(pushes.put(note(ann, f"key-{number}", body=long)) for number in range(40)))
    await eventually(lambda: len(apple.asked) == 40, seconds=15)
    await eventually(lambda: _is(ann, *["shown"] * 40))

    assert Counter(asked.body["key"] for asked in apple.asked).most_common(1)[0][1] == 1
    assert apple.connections == len(apple.provider_tokens) == 1


@pytest.mark.parametrize(
    "bad",
    [
        Answer(500, "InternalServerError"),
        Answer(503, "Shutdown"),
        Answer(500),
        Answer(429, "TooManyRequests"),
        Answer(does="resets"),
        Answer(does="cuts"),
        Answer(does="goes away"),
    ],
    ids=lambda bad: f"{bad.status} {bad.reason} {bad.does}",
)
async def test_what_fails_for_now_is_sent_again(
    pushes: PushService, apple: Apple, ann: Person, bad: Answer
) -> None:
    await iphone(ann)
    apple.answers.append(bad)

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "shown"))

    assert len(apple.asked) == 2
    assert [asked.headers["apns-collapse-id"] for asked in apple.asked] == [apple.asked[0].body["tag"]] * 2


async def test_an_answer_that_never_comes_is_waited_for_no_longer_than_the_deadline(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    pushes = await pushing(deadline=0.3, lease=2.0)
    await iphone(ann)
    apple.answers.append(Answer(does="hangs"))

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "shown"))

    assert len(apple.asked) == 2


@pytest.mark.parametrize("others_are", ["answered", "waiting"])
async def test_a_server_that_hangs_for_many_notes_is_used_again_when_it_is_well(
    pushing: StartPushing, apple: Apple, ann: Person, others_are: str
) -> None:
    """More than a connection may carry are given up; it is none the worse for it, or left for a new one."""
    pushes = await pushing(deadline=0.5, lease=2.0, at_once=4, failures=1000)
    await iphone(ann)
    apple.streams = 4
    pattern = (Answer(does="hangs"), Answer()) if others_are == "answered" else (Answer(does="hangs"),)
    apple.answers.extend(pattern * 8)

    await asyncio.gather(*(pushes.put(note(ann, f"key-{number}")) for number in range(len(pattern) * 8)))
    await eventually(lambda: not apple.answers, seconds=15)
    await pushes.put(note(ann, "one more"))
    await eventually(lambda: "one more" in [asked.body["key"] for asked in apple.asked], seconds=15)


async def test_retry_after_is_heeded(pushes: PushService, apple: Apple, ann: Person) -> None:
    await iphone(ann)
    apple.answers.append(Answer(429, "TooManyRequests", {"retry-after": "600"}))

    await pushes.put(note(ann))
    await eventually(lambda: _has_waited(ann))

    [row] = await outbox(ann)
    assert 590 < (row["due_at"] - now()).total_seconds() < 610
    assert (row["attempts"], row["tried"]) == (1, False)


async def _has_waited(person: Person) -> bool:
    [row] = await outbox(person)
    return row["attempts"] == 1 and row["claim"] is None


@pytest.mark.parametrize("bad", [Answer(410, "Unregistered"), Answer(400, "BadDeviceToken")])
async def test_a_device_that_is_gone_is_forgotten(
    pushes: PushService, apple: Apple, ann: Person, bad: Answer
) -> None:
    await iphone(ann)
    apple.answers.append(bad)

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann))

    assert (await ann.http.get("/api/devices")).data == []
    await pushes.put(note(ann, "another"))
    assert await outbox(ann) == []
    assert len(apple.asked) == 1


async def test_a_device_that_came_back_since_it_was_gone_stays(
    pushes: PushService, apple: Apple, ann: Person
) -> None:
    await iphone(ann)
    long_ago = int((time.time() - 3600) * 1000)
    apple.answers.append(Answer(410, "Unregistered", fields={"timestamp": long_ago}))

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "shown"))

    assert len(apple.asked) == 2
    assert len((await ann.http.get("/api/devices")).data) == 1


async def test_what_apple_will_never_take_is_buried(pushes: PushService, apple: Apple, ann: Person) -> None:
    await iphone(ann)
    apple.answers.append(Answer(413, "PayloadTooLarge"))
    before = dead()

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "dead"))

    assert (await outbox(ann))[0]["why"] == "413 PayloadTooLarge"
    assert len(apple.asked) == 1
    assert len((await ann.http.get("/api/devices")).data) == 1
    assert dead() == before + 1


def dead() -> float:
    return metrics.pushes.labels("ios", "dead")._value.get()


async def test_who_is_not_let_in_leaves_apple_in_peace(
    pushing: StartPushing, apple: Apple, google: Google, ann: Person, bob: Person
) -> None:
    pushes = await pushing(pause=60.0, at_once=2)
    await iphone(ann)
    await android(bob)
    apple.answers.extend(Answer(403, "InvalidProviderToken") for _ in range(20))

    await asyncio.gather(*(pushes.put(note(ann, f"key-{number}")) for number in range(20)))
    await eventually(lambda: metrics.push_down.labels("ios")._value.get() == 1)
    for number in range(5):  # meanwhile others look at the outbox again and again
        await pushes.put(note(bob, f"key-{number}"))
        await eventually(lambda: len(google.sent) == number + 1)  # noqa: B023  (called at once)
    await eventually(lambda: _is_free(ann))

    assert 1 <= len(apple.asked) <= 2
    assert await states(ann) == ["waiting"] * 20
    assert {row["attempts"] for row in await outbox(ann)} == {0}
    metrics.push_down.labels("ios").set(0)


async def _is_free(person: Person) -> bool:
    return all(row["claim"] is None for row in await outbox(person))


async def test_who_is_let_in_again_has_lost_nothing(pushing: StartPushing, apple: Apple, ann: Person) -> None:
    pushes = await pushing(pause=0.1, attempts=1, at_once=4)
    await iphone(ann)
    apple.answers.extend(Answer(403, "InvalidProviderToken") for _ in range(6))

    await asyncio.gather(*(pushes.put(note(ann, f"key-{number}")) for number in range(10)))
    await eventually(lambda: _is(ann, *["shown"] * 10), seconds=20)

    assert len(apple.asked) == 10 + 6
    assert metrics.push_down.labels("ios")._value.get() == 0


async def test_an_expired_provider_token_that_is_young_is_not_made_anew_at_once(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    pushes = await pushing(pause=0.1)
    await iphone(ann)
    apple.answers.append(Answer(403, "ExpiredProviderToken"))

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "shown"))

    assert len(apple.provider_tokens) == 1


async def test_an_expired_provider_token_that_is_old_enough_is_made_anew(
    pushes: PushService, apple: Apple, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.push_providers.apple.NOT_BEFORE", 0)
    await iphone(ann)
    apple.answers.append(Answer(403, "ExpiredProviderToken"))

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "shown"))

    assert len(apple.provider_tokens) == len(apple.asked) == 2
    assert (await outbox(ann))[0]["attempts"] == 1


async def test_a_server_that_is_not_there_costs_no_attempts(
    pushing: StartPushing, apple: Apple, ann: Person, keys: Keys
) -> None:
    pushes = await pushing(attempts=1, pause=0.1)
    await iphone(ann)
    port = apple.port
    await apple.stop()
    refused = metrics.pushes.labels("ios", "down")._value.get()

    await pushes.put(note(ann))
    await eventually(lambda: metrics.pushes.labels("ios", "down")._value.get() >= refused + 2)
    assert await states(ann) == ["waiting"]
    await apple.start(keys.certificate, port)
    await eventually(lambda: _is(ann, "shown"))

    assert len(apple.asked) == 1


async def test_a_server_without_a_certificate_to_trust_gets_nothing(
    pushing: StartPushing, apple: Apple, ann: Person
) -> None:
    pushes = await pushing(ca=None)
    await iphone(ann)
    refused = metrics.pushes.labels("ios", "down")._value.get()

    await pushes.put(note(ann))
    await eventually(lambda: metrics.pushes.labels("ios", "down")._value.get() > refused)

    assert apple.asked == []
    assert await states(ann) == ["waiting"]


async def test_texts_are_shortened_to_what_apple_takes(
    pushes: PushService, apple: Apple, ann: Person
) -> None:
    await iphone(ann)

    await pushes.put(note(ann, title="é" * 1000, body="\U0001f600\ud800\x00" * 5000))
    await eventually(lambda: _is(ann, "shown"))

    alert = apple.asked[0].body["aps"]["alert"]
    assert alert["title"] == "é" * 200
    assert alert["body"].startswith("\U0001f600  \U0001f600")
    assert alert["body"].endswith("…")
    assert int(apple.asked[0].size) <= 4096


async def test_a_phone_of_somebody_else_hears_nothing(
    pushes: PushService, apple: Apple, ann: Person, bob: Person
) -> None:
    phones = {ann.id: await iphone(ann), bob.id: await iphone(bob)}
    shared = new_token()
    await register(ann, "ios", shared)
    await register(bob, "ios", shared)

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "shown"))

    assert [asked.token for asked in apple.asked] == [phones[ann.id]]
