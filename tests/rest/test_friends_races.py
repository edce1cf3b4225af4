"""Friends while everybody acts at once, on two nodes, and somebody dies: one truth, and all are told it."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from documents import friends
from documents.accounts import User
from documents.friends import Friendship, Room, Untold
from documents.rows import rows
from realtime.features.friends import rules
from realtime.features.friends.service import teller
from realtime.features.friends.service.news import FriendNews
from tests.clients import Http, Json, Person, Reply, eventually
from tests.conftest import Node, SignUp

ROOM = Room(friends=10, requests=10)


@pytest.fixture
async def nodes(two_nodes: tuple[Node, Node]) -> tuple[str, str]:
    return two_nodes[0].url, two_nodes[1].url


async def do(person: Person, verb: str, other: Person, url: str | None = None) -> Reply:
    return await person.http.post(f"{url or ''}/api/friends/{verb}", {"userId": other.id})


async def remove(person: Person, other: Person, url: str) -> Reply:
    return await person.http.delete(f"{url}/api/friends/{other.id}")


async def friends_of(person: Person) -> set[str]:
    reply = await person.http.get(f"/api/friends/{person.id}", params={"limit": 100})
    return {row["user"]["id"] for row in reply.data}


async def relation(person: Person, other: Person) -> str:
    """What somebody is to another, as their own lists have it: a block does not hide that."""
    found = await Friendship.between(person.id, other.id)
    return "none" if found is None else found.state


async def log_of(person: Person) -> list[Json]:
    device = await person.device()
    answer = await device.call("sync", {"updates": 0})
    return answer["updates"]["entries"]


async def believed(person: Person, other: Person) -> str:
    """What the log makes a device believe that begins with nothing."""
    state = "none"
    for entry in await log_of(person):
        about = {entry["data"].get(name) for name in ("userId", "fromId", "toId")}
        if other.id in about:
            said = {"friend_request": "pending", "friend_accepted": "accepted", "friend_removed": "none"}
            state = said.get(entry["event"], state)
    return state


async def all_is_told(one: Person, other: Person) -> bool:
    return await Untold.of(Friendship.id_of(one.id, other.id)) is None


# -- one friendship


async def test_l25_accepts_on_two_nodes_make_one_friendship_and_one_entry_on_either_side(
    nodes: tuple[str, str], ann: Person, bob: Person
) -> None:
    await do(ann, "request", bob)

    replies = await asyncio.gather(*(do(bob, "accept", ann, nodes[n % 2]) for n in range(100)))

    assert Counter(reply.status for reply in replies) == {200: 100}
    assert await friends_of(ann) == {bob.id}
    assert await friends_of(bob) == {ann.id}
    for person in (ann, bob):
        events = [entry["event"] for entry in await log_of(person)]
        assert events.count("friend_accepted") == 1


async def test_l25_requests_that_cross_on_two_nodes_become_one_friendship(
    nodes: tuple[str, str], ann: Person, bob: Person
) -> None:
    asking = [(ann, bob), (bob, ann)] * 25
    replies = await asyncio.gather(
        *(do(who, "request", other, nodes[n // 2 % 2]) for n, (who, other) in enumerate(asking))
    )

    assert {reply.status for reply in replies} == {200}
    assert await friends_of(ann) == {bob.id}
    assert await friends_of(bob) == {ann.id}
    for person, other in ((ann, bob), (bob, ann)):
        assert await believed(person, other) == "accepted"


async def test_a_block_during_an_accept_leaves_nothing(nodes: tuple[str, str], join: SignUp) -> None:
    for attempt in range(6):
        ann, bob = await join("ann"), await join("bob")
        await do(ann, "request", bob)

        await asyncio.gather(
            *(do(bob, "accept", ann, nodes[n % 2]) for n in range(4)),
            do(ann, "block", bob, nodes[attempt % 2]),
        )

        assert await relation(ann, bob) == "none"
        await eventually(lambda ann=ann, bob=bob: all_is_told(ann, bob))
        assert [await believed(ann, bob), await believed(bob, ann)] == ["none", "none"]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_two_people_do_their_logs_say_what_is(
    nodes: tuple[str, str], ann: Person, bob: Person, seed: int
) -> None:
    chance = random.Random(seed)

    async def act() -> int:
        who, other = chance.choice([(ann, bob), (bob, ann)])
        verb, url = chance.choice(["request", "accept", "reject", "cancel", "remove"]), chance.choice(nodes)
        await asyncio.sleep(chance.random() / 5)
        found = await (remove(who, other, url) if verb == "remove" else do(who, verb, other, url))
        return found.status

    statuses = await asyncio.gather(*(act() for _ in range(40)))

    assert set(statuses) <= {200, 404}
    await eventually(lambda: all_is_told(ann, bob))
    truth = await relation(ann, bob)
    assert [await believed(ann, bob), await believed(bob, ann)] == [truth, truth]


async def test_news_that_come_late_do_not_have_the_last_word(
    two_nodes: tuple[Node, Node], ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = two_nodes
    await do(ann, "request", bob)
    say = FriendNews.say
    held_up: list[str] = []

    async def say_late(news: FriendNews, *what: Any) -> None:
        if not held_up:  # an accept is about to be told: meanwhile the friendship ends on the other node
            held_up.append("accept")
            assert (await remove(ann, bob, quick.url)).status == 200
        await say(news, *what)

    monkeypatch.setattr(FriendNews, "say", say_late)
    await do(bob, "accept", ann, slow.url)

    events = [entry["event"] for entry in await log_of(bob) if entry["event"].startswith("friend")]
    assert events == ["friend_request", "friend_removed", "friend_accepted", "friend_removed"]
    assert [await believed(ann, bob), await believed(bob, ann)] == ["none", "none"]
    assert await all_is_told(ann, bob)


# -- as many as there may be


async def test_nobody_gets_more_friends_than_possible_however_many_accept_at_once(
    nodes: tuple[str, str], ann: Person, join: SignUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_FRIENDS", 3)
    askers, asked = [await join("asks") for _ in range(5)], [await join("asked") for _ in range(5)]
    for person in askers:
        await do(person, "request", ann)
    for person in asked:
        await do(ann, "request", person)

    replies = await asyncio.gather(
        *(do(ann, "accept", person, nodes[n % 2]) for n, person in enumerate(askers)),
        *(do(person, "accept", ann, nodes[n % 2]) for n, person in enumerate(asked)),
    )

    codes = Counter(reply.body.get("code", "friends") for reply in replies)
    assert codes == {"friends": 3, "too_many_friends": 7}
    assert len(await friends_of(ann)) == 3


async def test_nobody_has_more_requests_waiting_than_possible(
    nodes: tuple[str, str], ann: Person, join: SignUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_REQUESTS", 2)
    people = [await join(f"p{n}") for n in range(6)]

    replies = await asyncio.gather(*(do(ann, "request", one, nodes[n % 2]) for n, one in enumerate(people)))

    codes = Counter(reply.body.get("code", "asked") for reply in replies)
    assert codes == {"asked": 2, "too_many_friend_requests": 4}


async def test_nobody_blocks_more_people_than_possible(
    nodes: tuple[str, str], ann: Person, join: SignUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_BLOCKED", 2)
    people = [await join(f"p{n}") for n in range(5)]

    replies = await asyncio.gather(*(do(ann, "block", one, nodes[n % 2]) for n, one in enumerate(people)))

    codes = Counter(reply.body.get("code", "blocked") for reply in replies)
    assert codes == {"blocked": 2, "too_many_blocked": 3}


async def test_counting_requests_ends_however_many_ask(
    ann: Person, bob: Person, cyd: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(friends, "COUNTED", 1)
    for asker in (bob, cyd):
        await do(asker, "request", ann)

    reply = await ann.http.get("/api/friends/requests")

    assert {row["user"]["id"] for row in reply.data} == {bob.id, cyd.id}
    assert reply.body["pagination"]["total"] == 1


# -- what breaks


async def test_what_nobody_lived_to_tell_is_told_by_another(
    two_nodes: tuple[Node, Node], ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teller, "LATE", timedelta(seconds=-60))
    sweeper = two_nodes[1].services.friends.teller

    await Friendship.ask(ann.id, bob.id, ROOM)  # and then the node died
    await sweeper.tell_late()
    assert [await believed(ann, bob), await believed(bob, ann)] == ["pending", "pending"]
    await Friendship.accept(bob.id, ann.id, ROOM)
    await sweeper.tell_late()
    assert [await believed(ann, bob), await believed(bob, ann)] == ["accepted", "accepted"]
    await Friendship.end(ann.id, bob.id)
    await asyncio.gather(*(node.services.friends.teller.tell_late() for node in two_nodes))
    assert [await believed(ann, bob), await believed(bob, ann)] == ["none", "none"]

    events = Counter(entry["event"] for entry in await log_of(bob))
    assert (events["friend_request"], events["friend_accepted"], events["friend_removed"]) == (1, 1, 1)
    assert await all_is_told(ann, bob)


async def test_news_that_cannot_be_told_keep_no_others_waiting(
    plaza: Node, ann: Person, bob: Person, cyd: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teller, "LATE", timedelta(seconds=-60))
    say = FriendNews.say

    async def say_or_break(news: FriendNews, pair: Sequence[str], *what: Any) -> None:
        if bob.id in pair:
            raise KeyError("nobody foresaw this")
        await say(news, pair, *what)

    monkeypatch.setattr(FriendNews, "say", say_or_break)
    for asked in (bob, cyd):
        await Friendship.ask(ann.id, asked.id, ROOM)
    await plaza.services.friends.teller.tell_late()

    assert [await believed(cyd, ann), await believed(bob, ann)] == ["pending", "none"]
    monkeypatch.setattr(FriendNews, "say", say)
    await plaza.services.friends.teller.tell_late()
    assert await believed(bob, ann) == "pending"


async def test_who_asks_somebody_whom_many_tell_something_does_not_wait_for_all_of_them(
    ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teller, "PATIENCE", 0.05)
    may_be_told, say = asyncio.Event(), FriendNews.say

    async def say_late(news: FriendNews, pair: Sequence[str], *what: Any) -> None:
        await may_be_told.wait()
        await say(news, pair, *what)

    monkeypatch.setattr(FriendNews, "say", say_late)
    async with asyncio.timeout(20):
        replies = [await do(ann, "request", bob), await do(bob, "accept", ann)]

    assert [reply.data["state"] for reply in replies] == ["request_sent", "friends"]
    assert [await believed(ann, bob), await believed(bob, ann)] == ["none", "none"]
    may_be_told.set()
    await eventually(lambda: all_is_told(ann, bob))
    assert [await believed(ann, bob), await believed(bob, ann)] == ["accepted", "accepted"]


# -- what is shown


async def test_l27_friends_in_common_are_only_those_who_are_there_for_the_viewer(
    ann: Person, bob: Person, join: SignUp
) -> None:
    shown, banned, blocked = [await join(name) for name in ("shown", "banned", "blocked")]
    for friend in (shown, banned, blocked):
        await ann.befriend(friend)
        await bob.befriend(friend)
    await rows(User).update_one({"_id": banned.id}, {"$set": {"is_banned": True}})
    await do(ann, "block", blocked)

    mutual = (await ann.http.get(f"/api/friends/mutual/{bob.id}")).data

    assert mutual["count"] == 1
    assert [user["id"] for user in mutual["users"]] == [shown.id]
    assert (await ann.http.get(f"/api/users/{bob.id}")).data["mutualFriends"] == 1


@pytest.mark.parametrize(
    ("privacy", "audience", "who_sees"),
    [
        ("public", "private", {"owner"}),
        ("public", "friends", {"owner", "friend"}),
        ("private", "public", {"owner", "friend", "stranger"}),
        ("private", "friends", {"owner", "friend"}),
        ("friends", None, {"owner", "friend"}),
    ],
)
async def test_l26_a_list_of_friends_is_for_those_its_owner_has_chosen(
    join: SignUp, privacy: str, audience: str | None, who_sees: set[str]
) -> None:
    people = {name: await join(name) for name in ("owner", "friend", "stranger", "common")}
    owner = people["owner"]
    await owner.befriend(people["friend"])
    for name in ("owner", "friend", "stranger"):
        await people[name].befriend(people["common"])
    settings = {"privacy": privacy, "visibility": {"friends": audience}}
    changed = await owner.http.patch(f"/api/users/{owner.id}/profile", {"settings": settings})
    assert changed.status == 200

    for name in ("owner", "friend", "stranger"):
        http: Http = people[name].http
        answers = [
            await http.get(f"/api/friends/{owner.id}"),
            await http.get(f"/api/get_friends/{owner.handle}/"),
        ]
        if name != "owner":
            answers.append(await http.get(f"/api/friends/mutual/{owner.id}"))
            profile = (await http.get(f"/api/users/{owner.id}")).data
            assert profile.get("mutualFriends", 0) == (1 if name in who_sees else 0)
        assert {answer.status for answer in answers} == {200 if name in who_sees else 403}
