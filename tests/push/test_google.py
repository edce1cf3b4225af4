"""Pushes to Android phones, against a server that speaks OAuth and Firebase's HTTP v1."""

import json
from typing import Any

import pytest

from common import metrics
from realtime.features.push import PushService
from tests.clients import Person, eventually
from tests.push.conftest import StartPushing, android, note, outbox, states
from tests.push.google import Answer, Google, bad_field, unregistered


async def _is(person: Person, *wanted: str) -> bool:
    return await states(person) == sorted(wanted)


async def test_p21_a_message_arrives_as_firebase_wants_it(
    pushes: PushService, google: Google, ann: Person
) -> None:
    token = await android(ann)
    told = note(ann, data={"userId": "x"})

    await pushes.put(told)
    await eventually(lambda: _is(ann, "shown"))

    [message] = google.sent
    assert message["token"] == token
    assert message["notification"] == {"title": told.title, "body": told.body}
    assert message["data"]["key"] == told.key
    assert json.loads(message["data"]["data"]) == told.data
    assert all(isinstance(value, str) for value in message["data"].values())
    assert message["android"]["collapse_key"] == message["android"]["notification"]["tag"]
    assert message["android"]["notification"]["notification_count"] == told.badge
    assert message["android"]["priority"] == "HIGH"


async def test_access_is_bought_once_and_again_when_google_takes_it_back(
    pushes: PushService, google: Google, ann: Person
) -> None:
    await android(ann)
    for number in range(10):
        await pushes.put(note(ann, f"key-{number}"))
    await eventually(lambda: _is(ann, *["shown"] * 10))
    assert google.sold == ["access-0"]

    google.valid.clear()
    await pushes.put(note(ann, "another"))
    await eventually(lambda: _is(ann, *["shown"] * 11))

    assert google.sold == ["access-0", "access-1"]
    assert len(google.sent) == 11


@pytest.mark.parametrize(
    "bad", [unregistered(), bad_field("message.token")], ids=["unregistered", "no token"]
)
async def test_a_device_that_is_gone_is_forgotten(
    pushes: PushService, google: Google, ann: Person, bad: Answer
) -> None:
    await android(ann)
    google.answers.append(bad)

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann))

    assert (await ann.http.get("/api/devices")).data == []
    assert len(google.sent) == 1


@pytest.mark.parametrize(
    "bad",
    [
        bad_field("message.data"),
        Answer(400, "no json"),
        Answer(403, {"error": {"status": "SENDER_ID_MISMATCH"}}),
    ],
    ids=["data", "no json", "mismatch"],
)
async def test_what_firebase_will_never_take_is_buried_and_the_device_stays(
    pushes: PushService, google: Google, ann: Person, bad: Answer
) -> None:
    await android(ann)
    google.answers.append(bad)

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "dead"))

    assert len(google.sent) == 1
    assert len((await ann.http.get("/api/devices")).data) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"status": "INTERNAL", "details": [None, 7, {"fieldViolations": "x"}]}},
        {"error": [1, 2]},
        [],
        "<html>",
    ],
)
async def test_what_fails_for_now_is_sent_again_whatever_the_answer_says(
    pushes: PushService, google: Google, ann: Person, body: Any
) -> None:
    await android(ann)
    google.answers.append(Answer(503, body))

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "shown"))

    assert len(google.sent) == 2


async def test_retry_after_leaves_firebase_in_peace(pushes: PushService, google: Google, ann: Person) -> None:
    await android(ann)
    google.answers.append(Answer(429, {}, {"Retry-After": "300"}))

    await pushes.put(note(ann))
    await eventually(lambda: metrics.push_down.labels("android")._value.get() == 1)
    await pushes.put(note(ann, "another"))
    await eventually(lambda: _has_given_up_its_claims(ann))

    assert len(google.sent) == 1
    assert await states(ann) == ["waiting", "waiting"]
    metrics.push_down.labels("android").set(0)


async def _has_given_up_its_claims(person: Person) -> bool:
    return all(row["claim"] is None for row in await outbox(person))


@pytest.mark.parametrize(
    "answer", [Answer(400, {"error": "invalid_grant"}), Answer(500, {}), Answer(200, {})]
)
async def test_without_access_nothing_is_sent_and_nothing_is_lost(
    pushing: StartPushing, google: Google, ann: Person, answer: Answer
) -> None:
    pushes = await pushing(pause=0.1, attempts=1)
    await android(ann)
    google.sales.extend([answer, answer])

    await pushes.put(note(ann))
    await eventually(lambda: _is(ann, "shown"))

    assert len(google.sent) == 1
    assert not google.sales
