"""Points, tiers and streaks: what the ledger says, whatever races, and however late it is told."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.clock import now
from common.errors import Unavailable
from documents.accounts import Activity, User, activity
from documents.rows import rows
from realtime.features.accounts import ActivityService
from realtime.features.accounts.rules import points
from realtime.features.accounts.rules.points import AWARDS, Kind
from tests.clients import Json, Person, eventually
from tests.conftest import Node, SignUp

VISIT = AWARDS["visit"].points


async def seen(person: Person) -> Json:
    return (await person.http.get(f"/api/users/{person.id}")).data


async def score(person: Person) -> int:
    return (await seen(person))["vibeScore"]


async def stored(person: Person) -> tuple[int, int, str | None]:
    user = await User.find_by("_id", person.id)
    assert user is not None
    return user.vibe_score, user.streak, user.streak_day


async def forget_all(person: Person) -> None:
    """As if they had never done anything."""
    await rows(Activity).delete_many({"user_id": person.id})
    nothing = {"vibe_score": 0, "streak": 0, "streak_day": None}
    await rows(User).update_one({"_id": person.id}, {"$set": nothing})


async def recounted(service: ActivityService, person: Person) -> bool:
    """Whether the ledger says something else than the person's document."""
    return [recount.differs async for recount in service.recount(person.id)] == [True]


# -- what counts


async def test_l41b_points_are_capped_by_the_day_and_given_once_for_a_cause(plaza: Node, ann: Person) -> None:
    service = plaza.services.accounts.activity
    causes = [f"message-{number}" for number in range(30)]

    await asyncio.gather(*(service.record(ann.id, "message", cause) for cause in causes for _ in range(2)))

    award = AWARDS["message"]
    entries = await rows(Activity).count_documents({"user_id": ann.id, "kind": "message"})
    assert entries == award.a_day
    assert await score(ann) == VISIT + award.a_day * award.points


async def test_one_cause_counts_once_however_often_it_is_said(plaza: Node, ann: Person) -> None:
    service = plaza.services.accounts.activity
    earned = await asyncio.gather(*(service.record(ann.id, "post", "this post") for _ in range(10)))
    assert sorted(earned) == [False] * 9 + [True]


async def test_several_nodes_pass_no_cap_and_count_no_cause_twice(ann: Person) -> None:
    nodes = [ActivityService() for _ in range(4)]
    causes = [f"comment-{number}" for number in range(AWARDS["comment"].a_day + 4)]

    told = [(node, cause) for cause in causes for node in nodes]
    await asyncio.gather(*(node.record(ann.id, "comment", cause) for node, cause in told))

    assert await score(ann) == VISIT + AWARDS["comment"].a_day * AWARDS["comment"].points
    assert not await recounted(nodes[0], ann)


async def test_messages_earn_now_and_then_and_friends_once_for_a_pair(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    friend, message = AWARDS["friend"].points, AWARDS["message"].points
    for person in (ann, bob):
        await eventually(lambda person=person: _has(person, VISIT + friend))
    device = await ann.device()

    for _ in range(5):
        await device.send("hello", to=bob.id)
    await eventually(lambda: _has(ann, VISIT + friend + message))
    await ann.http.delete(f"/api/friends/{bob.id}")
    await bob.befriend(ann)
    await asyncio.gather(*(device.send("again", to=bob.id) for _ in range(5)))

    assert await score(ann) == VISIT + friend + message
    assert await score(bob) == VISIT + friend


async def _has(person: Person, wanted: int) -> bool:
    return await score(person) == wanted


@pytest.mark.parametrize(
    ("score", "tier"),
    [
        (0, "Bronze"),
        (249, "Bronze"),
        (250, "Silver"),
        (749, "Silver"),
        (750, "Gold"),
        (1499, "Gold"),
        (1500, "Platinum"),
    ],
)
async def test_points_make_the_tier(ann: Person, score: int, tier: str) -> None:
    await rows(User).update_one({"_id": ann.id}, {"$set": {"vibe_score": score}})
    assert (await seen(ann))["tier"] == tier


def test_the_documented_table_is_the_one_that_counts() -> None:
    page = (Path(__file__).parents[2] / "docs" / "people.md").read_text()
    rows_of_table = re.findall(r"^\| `(\w+)`[^|]*\| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    documented = {kind: (int(worth), int(a_day)) for kind, worth, a_day in rows_of_table}
    assert documented == {kind: (award.points, award.a_day) for kind, award in AWARDS.items()}


# -- streaks


@pytest.mark.parametrize(("days_ago", "streak", "after"), [(0, 7, 7), (1, 7, 8), (2, 7, 1)])
async def test_a_streak_counts_days_in_a_row(
    plaza: Node, ann: Person, days_ago: int, streak: int, after: int
) -> None:
    last = points.day(now() - timedelta(days=days_ago))
    await rows(User).update_one({"_id": ann.id}, {"$set": {"streak": streak, "streak_day": last}})
    shown = (await seen(ann))["streak"]

    await plaza.services.accounts.activity.record(ann.id, "comment", "a comment")

    assert shown == (streak if days_ago < 2 else 0)
    assert (await seen(ann))["streak"] == after


@pytest.mark.parametrize(
    ("days", "streak", "last"),
    [
        (["2025-12-30", "2025-12-31", "2026-01-01"], 3, "2026-01-01"),
        (["2028-02-28", "2028-02-29", "2028-03-01"], 3, "2028-03-01"),
        (["2026-02-28", "2026-03-01"], 2, "2026-03-01"),
        (["2026-02-27", "2026-03-01"], 1, "2026-03-01"),
        (["2026-05-03", "2026-05-01", "2026-05-02"], 3, "2026-05-03"),
        (["2026-05-03", "2026-05-01", "2026-04-30"], 1, "2026-05-03"),
        (["2026-05-02", "2026-05-02", "2026-05-01", "2026-04-29"], 2, "2026-05-02"),
    ],
)
async def test_a_streak_goes_over_the_ends_of_months_in_whatever_order_it_is_told(
    plaza: Node, ann: Person, days: list[str], streak: int, last: str
) -> None:
    service = plaza.services.accounts.activity
    await forget_all(ann)

    for number, day in enumerate(days):
        at = datetime.fromisoformat(f"{day}T23:59:59.999+00:00")
        assert await service.record(ann.id, "comment", f"c{number}", at)

    assert (await stored(ann))[1:] == (streak, last)
    assert not await recounted(service, ann)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_in_whatever_order_score_and_streak_are_what_the_ledger_says(
    ann: Person, seed: int
) -> None:
    chance = random.Random(seed)
    nodes = [ActivityService() for _ in range(3)]
    await forget_all(ann)
    start = datetime(2025, 12, 27, 12, tzinfo=UTC)
    kinds: list[Kind] = ["visit", "post", "comment", "friend"]

    async def happens() -> None:
        at = start + timedelta(days=chance.randrange(9), seconds=chance.randrange(40_000))
        kind, cause = chance.choice(kinds), f"cause{chance.randrange(15)}"
        await chance.choice(nodes).record(ann.id, kind, cause, at)

    await asyncio.gather(*(happens() for _ in range(80)))

    assert not await recounted(nodes[0], ann)
    entries = [entry async for entry in rows(Activity).find({"user_id": ann.id})]
    total, streak, last = await stored(ann)
    assert total == sum(entry["points"] for entry in entries)
    assert last == max(entry["day"] for entry in entries)
    assert streak == activity.run_of({entry["day"] for entry in entries})[0]
    assert len({entry["cause"] for entry in entries}) == len(entries)
    taken = {(entry["day"], entry["kind"], entry["slot"]) for entry in entries}
    assert len(taken) == len(entries)
    assert all(entry["slot"] < AWARDS[entry["kind"]].a_day for entry in entries)


# -- what breaks


async def test_a_crash_between_entry_and_credit_leaves_neither_and_the_next_attempt_both(
    plaza: Node, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = plaza.services.accounts.activity
    before = await stored(ann)
    keep: Callable[..., Awaitable[None]] = activity._keep

    async def crash(*_: Any) -> None:
        raise KeyError("the process dies here")

    monkeypatch.setattr(activity, "_keep", crash)
    with pytest.raises(KeyError):
        await service.record(ann.id, "post", "a post")
    assert await stored(ann) == before
    assert await rows(Activity).count_documents({"user_id": ann.id, "kind": "post"}) == 0

    monkeypatch.setattr(activity, "_keep", keep)
    assert await service.record(ann.id, "post", "a post")
    assert await score(ann) == VISIT + AWARDS["post"].points


async def test_what_cannot_be_written_now_is_written_later(
    ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, add = ActivityService(), Activity.add
    attempts: list[str] = []

    async def sometimes(entry: Activity, cap: int) -> Any:
        attempts.append(entry.cause)
        if len(attempts) < 3:
            raise Unavailable
        return await add(entry, cap)

    monkeypatch.setattr(Activity, "add", sometimes)
    assert await service.record(ann.id, "post", "a post") is False
    await service.stop()

    assert len(attempts) == 3
    assert await score(ann) == VISIT + AWARDS["post"].points


async def test_nobody_earns_who_is_not_there(plaza: Node) -> None:
    nobody = "11111111-1111-4111-8111-111111111111"
    assert await plaza.services.accounts.activity.record(nobody, "post", "a post") is False
    assert await rows(Activity).count_documents({"user_id": nobody}) == 0


async def test_signing_up_many_times_at_once_is_one_visit_each(join: SignUp) -> None:
    people = await asyncio.gather(*(join(f"p{number}") for number in range(8)))
    assert {await score(person) for person in people} == {VISIT}
