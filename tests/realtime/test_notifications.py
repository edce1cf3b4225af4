"""Notifications on several devices and several nodes: one order, one count, whatever is cut in between."""

import asyncio
import itertools
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from common.errors import Unavailable
from common.ids import Id, new_id
from documents.database import Database
from documents.notifications import Change
from realtime.channels import Publication
from realtime.features.notifications import NotificationService, rules
from realtime.features.notifications.schemas import Note, QuietHours
from realtime.features.notifications.store import Ledger, changes
from tests.clients import Device, Person
from tests.conftest import Node, SignUp
from tests.doubles import RecordingPushes

PATH = "/api/notifications"
TOLD = ("notification", "notification_read", "notification_removed")
POSTS = ["p1", "p2", "p3", "p4", "p5"]

State = dict[str, Any]


# -- a client that does what a client must do


class Screen:
    """A device of a person: what it shows, changed by nothing but what the log says."""

    def __init__(self, person: Person, nodes: Sequence[Node]) -> None:
        self._person, self._nodes = person, nodes
        self._device: Device | None = None
        self._pos = 0
        self.version, self.unread = 0, 0
        self.rows: dict[str, State] = {}

    async def connect(self, node: Node) -> None:
        """Come back, to whichever node."""
        self._device = await self._person.device(node.url)

    async def drop(self) -> None:
        """Lose the connection; what was heard until then was heard."""
        if self._device is not None:
            self._listen(self._device)
            await self._device.close()
            self._device = None

    @property
    def is_connected(self) -> bool:
        return self._device is not None

    async def reload(self) -> None:
        """Read the whole list, as on a fresh start; the log is read on from where it was."""
        shown = await snapshot(self._person)
        self.version, self.unread, self.rows = shown["version"], shown["unread"], shown["rows"]

    def _listen(self, device: Device) -> None:
        for said in device.heard:
            pos = said.data.get("pos", 0) if isinstance(said.data, dict) else 0
            if pos == self._pos + 1:
                self._pos = pos
                self._apply(said.event, said.data)

    async def catch_up(self) -> None:
        """What was not heard is asked for."""
        device = self._device or await self._person.device(self._nodes[0].url)
        self._listen(device)
        more = True
        while more:
            page = (await device.call("sync", {"updates": self._pos}))["updates"]
            assert page["truncated"] is False
            for entry in page["entries"]:
                assert entry["pos"] == self._pos + 1
                self._pos = entry["pos"]
                self._apply(entry["event"], entry["data"])
            more = page["more"]

    def _apply(self, event: str, data: State) -> None:
        if event not in TOLD or data["version"] <= self.version:
            return
        assert data["version"] == self.version + 1, "a change is missing"
        self.version, self.unread = data["version"], data["unreadCount"]
        if event == "notification":
            self.rows[data["id"]] = plain(data)
        elif event == "notification_removed":
            for gone in data["ids"]:
                self.rows.pop(gone, None)
        else:
            for one in self.rows if data["ids"] is None else data["ids"]:
                self.rows[one] = {**self.rows[one], "read": True}

    def shown(self) -> State:
        """What this device shows, newest first."""
        return {"version": self.version, "unread": self.unread, "rows": newest_first(self.rows)}


def plain(said: State) -> State:
    names = ("id", "type", "text", "actor", "data", "count", "read", "createdAt", "updatedAt")
    return {name: said[name] for name in names}


def newest_first(rows: dict[str, State]) -> dict[str, State]:
    order = sorted(rows.values(), key=lambda row: (row["updatedAt"], row["id"]), reverse=True)
    return {row["id"]: row for row in order}


async def snapshot(person: Person) -> State:
    """The list as HTTP shows it now."""
    body = (await person.http.get(PATH, params={"limit": 100})).body
    assert body["pagination"]["next_cursor"] is None
    assert body["unreadCount"] == sum(not row["read"] for row in body["data"])
    return {
        "version": body["version"],
        "unread": body["unreadCount"],
        "rows": {row["id"]: row for row in body["data"]},
    }


class Life:
    """What happens to ann, at random: others do things, and she reads and removes on two nodes."""

    def __init__(self, ann: Person, others: Sequence[Person], nodes: Sequence[Node], seed: int) -> None:
        self.ann, self.others, self.nodes = ann, others, nodes
        self.random = random.Random(seed)
        self.number = 0
        self.expected: dict[str, list[Any]] = {}
        """By post: how often it happened since it was read before, and whether it is read."""

    def deeds(self, most: int) -> list[Any]:
        """Some deeds to be done at once."""
        names = ("tell", "tell", "tell", "again", "read", "read_all", "remove", "withdraw")
        return [getattr(self, self.random.choice(names))() for _ in range(self.random.randint(1, most))]

    def _services(self) -> NotificationService:
        return self.random.choice(self.nodes).services.notifications

    async def tell(self) -> None:
        self.number += 1
        post, actor, number = self.random.choice(POSTS), self.random.choice(self.others), self.number
        service = self._services()
        times, read = self.expected.get(post, (0, True))
        self.expected[post] = [1 if read else times + 1, False]
        note = Note("post_like", post, "…", actor_id=actor.id, data={"post": post, "n": number})
        await service.notify(self.ann.id, note)
        if self.random.random() < 0.3:
            await self._services().notify(self.ann.id, note)

    async def again(self) -> None:
        """A block and its end: what is hidden comes back."""
        other = self.random.choice(self.others)
        for verb in ("block", "unblock"):
            await self.ann.http.post(self._url(f"/api/friends/{verb}"), {"userId": other.id})

    async def read(self) -> None:
        row = await self._some_row()
        if row is not None:
            await self.ann.http.patch(self._url(f"{PATH}/{row['id']}/read"))
            if row["data"]["post"] in self.expected:
                self.expected[row["data"]["post"]][1] = True

    async def read_all(self) -> None:
        await self.ann.http.post(self._url(f"{PATH}/read-all"))
        for known in self.expected.values():
            known[1] = True

    async def remove(self) -> None:
        row = await self._some_row()
        if row is not None:
            await self.ann.http.delete(self._url(f"{PATH}/{row['id']}"))
            self.expected.pop(row["data"]["post"], None)

    async def withdraw(self) -> None:
        post = self.random.choice(POSTS)
        await self._services().withdraw(self.ann.id, "post_like", post)
        self.expected.pop(post, None)

    async def _some_row(self) -> State | None:
        rows = list((await snapshot(self.ann))["rows"].values())
        return self.random.choice(rows) if rows else None

    def _url(self, path: str) -> str:
        return self.random.choice(self.nodes).url + path


@pytest.mark.parametrize(("seed", "most"), [(1, 1), (2, 1), (3, 4), (4, 8)])
async def test_a_snapshot_plus_the_log_is_a_later_snapshot_on_two_devices_that_come_and_go(
    two_nodes: tuple[Node, Node], join: SignUp, seed: int, most: int
) -> None:
    ann, *others = [await join(name, two_nodes[0].url) for name in ("ann", "bob", "cyd")]
    life = Life(ann, others, two_nodes, seed)
    phone, laptop = Screen(ann, two_nodes), Screen(ann, two_nodes)
    for step in range(20):
        screen = life.random.choice((phone, laptop))
        if screen.is_connected and life.random.random() < 0.5:
            await screen.drop()
        elif not screen.is_connected:
            await screen.connect(life.random.choice(two_nodes))
        if life.random.random() < 0.1:
            await screen.reload()

        await asyncio.gather(*life.deeds(most))

        if step % 5 == 4:
            later = await snapshot(ann)
            for one in (phone, laptop):
                await one.catch_up()
                assert one.shown() == later, f"seed {seed}, step {step}"
            if most == 1:
                shown = {row["data"]["post"]: [row["count"], row["read"]] for row in later["rows"].values()}
                assert shown == life.expected, f"seed {seed}, step {step}"


async def test_two_nodes_tell_one_person_at_once_and_every_device_hears_one_order(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    ann, bob = await join("ann", two_nodes[0].url), await join("bob", two_nodes[0].url)
    devices = [await ann.device(node.url) for node in two_nodes]
    notes = [Note("post_like", f"p{n % 7}", "…", actor_id=bob.id, data={"post": n}) for n in range(60)]

    await asyncio.gather(
        *(node.services.notifications.notify(ann.id, note) for note in notes for node in two_nodes)
    )

    shown = await snapshot(ann)
    assert (shown["version"], shown["unread"]) == (60, 7)
    assert sum(row["count"] for row in shown["rows"].values()) == 60
    for device in devices:
        await device.wait_until(lambda device=device: len(device.all("notification")) == 60)
        assert [said["version"] for said in device.all("notification")] == list(range(1, 61))


async def test_many_notifications_of_one_node_get_their_turn_beside_quick_ones_of_another(
    database: Database,
) -> None:
    ann = new_id()

    async def untold(_: Id, __: Sequence[Change]) -> None:
        """Nobody listens."""

    async def tell(ledger: Ledger, post: str) -> None:
        told = changes.Telling(ann, Note("post_like", post, "…"), actor=None, push=False)
        await ledger.change(ann, partial(changes.put, told))

    async def tell_without_end(ledger: Ledger) -> None:
        for n in itertools.count():
            await tell(ledger, f"quick{n}")

    one, other = Ledger(database, untold), Ledger(database, untold)
    quick = [asyncio.create_task(tell_without_end(other)) for _ in range(2)]
    many = asyncio.gather(*(tell(one, f"many{n}") for n in range(64)))

    try:
        await asyncio.wait_for(many, 30)
    finally:
        for task in quick:
            task.cancel()
        await asyncio.wait(quick)
        await other.stop(5)


# -- what is left untold


class BrokenUpdates:
    """A log that takes some entries and then no more, as if the process had ended there."""

    def __init__(self, node: Node, takes: int) -> None:
        self._updates, self.left = node.services.updates, takes

    async def append(
        self, user_ids: Sequence[Id], publication: Publication, *, key: str | None = None
    ) -> None:
        if self.left == 0:
            raise Unavailable
        self.left -= 1
        await self._updates.append(user_ids, publication, key=key)


class SlowUpdates:
    """A log that says when it is asked, and goes on when it is told to."""

    def __init__(self, node: Node) -> None:
        self._updates = node.services.updates
        self.asked, self.goes_on = asyncio.Event(), asyncio.Event()

    async def append(
        self, user_ids: Sequence[Id], publication: Publication, *, key: str | None = None
    ) -> None:
        self.asked.set()
        await self.goes_on.wait()
        await self._updates.append(user_ids, publication, key=key)


def beside(node: Node, database: Database, updates: Any = None, pushes: Any = None) -> NotificationService:
    """The service of a node that has broken parts."""
    services = node.services
    log = updates or services.updates
    return NotificationService(
        database, services.accounts.people, services.policy, log, pushes or services.push
    )


async def test_what_a_node_stored_and_did_not_tell_is_told_by_another_in_order(
    plaza: Node, database: Database, ann: Person, bob: Person
) -> None:
    phone = await ann.device()
    dying = beside(plaza, database, BrokenUpdates(plaza, takes=2))
    for n in range(5):
        note = Note("post_like", f"p{n}", "…", actor_id=bob.id, data={"post": n})
        await dying.notify(ann.id, note)
    assert await phone.hears_nothing_but("notification")
    assert [said["version"] for said in phone.all("notification")] == [1, 2]

    await asyncio.gather(*(plaza.services.notifications.tell_untold(timedelta()) for _ in range(3)))

    await phone.wait_until(lambda: len(phone.all("notification")) == 5)
    assert [said["version"] for said in phone.all("notification")] == [1, 2, 3, 4, 5]
    assert [said["unreadCount"] for said in phone.all("notification")] == [1, 2, 3, 4, 5]


async def test_what_one_node_left_untold_another_tells_before_its_own(
    plaza: Node, database: Database, ann: Person, bob: Person
) -> None:
    phone = await ann.device()
    dying = beside(plaza, database, BrokenUpdates(plaza, takes=0))

    for service, post in ((dying, "p1"), (plaza.services.notifications, "p2")):
        await service.notify(ann.id, Note("post_like", post, "…", actor_id=bob.id, data={"post": post}))

    await phone.wait_until(lambda: len(phone.all("notification")) == 2)
    assert [said["version"] for said in phone.all("notification")] == [1, 2]


async def test_who_has_told_a_change_does_not_take_later_ones_for_told(
    plaza: Node, database: Database, ann: Person, bob: Person
) -> None:
    phone = await ann.device()
    slow = SlowUpdates(plaza)
    one, dying = beside(plaza, database, slow), beside(plaza, database, BrokenUpdates(plaza, takes=0))
    first, second = (Note("post_like", p, "…", actor_id=bob.id, data={"post": p}) for p in ("p1", "p2"))

    telling = asyncio.create_task(one.notify(ann.id, first))
    await slow.asked.wait()
    await dying.notify(ann.id, second)
    slow.goes_on.set()
    await telling
    await plaza.services.notifications.tell_untold(timedelta())

    await phone.wait_until(lambda: len(phone.all("notification")) == 2)
    assert [said["version"] for said in phone.all("notification")] == [1, 2]


async def test_what_cannot_be_stored_takes_nothing_else_with_it(
    plaza: Node, ann: Person, bob: Person
) -> None:
    good = [Note("post_like", f"p{n}", "…", actor_id=bob.id, data={"post": n}) for n in range(5)]
    bad = Note("post_like", "bad", "…", actor_id=bob.id, data={"post": 2**70})

    results = await asyncio.gather(
        *(plaza.services.notifications.notify(ann.id, note) for note in (*good[:2], bad, *good[2:])),
        return_exceptions=True,
    )

    assert [result is None for result in results] == [True, True, False, True, True, True]
    assert (await snapshot(ann))["unread"] == 5


async def test_reading_the_list_tells_what_was_left_untold(
    plaza: Node, database: Database, ann: Person, bob: Person
) -> None:
    phone = await ann.device()
    dying = beside(plaza, database, BrokenUpdates(plaza, takes=0))
    await dying.notify(ann.id, Note("post_like", "p", "…", actor_id=bob.id, data={"post": 1}))
    assert await phone.hears_nothing_but()

    assert len((await snapshot(ann))["rows"]) == 1

    assert (await phone.wait_for("notification"))["unreadCount"] == 1


# -- push


async def test_what_is_wanted_is_pushed_and_what_was_read_is_dismissed(
    plaza: Node, database: Database, ann: Person, bob: Person
) -> None:
    pushes = RecordingPushes()
    service = beside(plaza, database, pushes=pushes)

    async def like(post: str) -> None:
        note = Note("post_like", post, f"bob likes {post}.", actor_id=bob.id, data={"post": post, "n": 1})
        await service.notify(ann.id, note)

    await like("p1")
    await like("p1")
    await like("p2")
    first, second = pushes.notes
    assert (first.user_id, first.type, first.key, first.badge) == (ann.id, "post_like", "post_like:p1", 1)
    assert (first.title, first.body) == ("New like", "bob likes p1.")
    assert (first.data, second.badge) == ({"post": "p1", "n": "1"}, 2)

    await service.read(ann.id, second.notification_id)
    await service.remove(ann.id, first.notification_id)
    assert pushes.dismissed == ["post_like:p2", "post_like:p1"]
    await like("p3")
    await like("p4")
    await service.read_all(ann.id)
    assert sorted(pushes.dismissed[2:]) == ["post_like:p3", "post_like:p4"]


async def test_pushing_heeds_preferences_quiet_hours_and_the_profile(
    plaza: Node, database: Database, ann: Person, bob: Person
) -> None:
    pushes = RecordingPushes()
    service = beside(plaza, database, pushes=pushes)
    phone = await ann.device()

    async def like(post: str) -> int:
        note = Note("post_like", post, "…", actor_id=bob.id, data={"post": post})
        await service.notify(ann.id, note)
        await phone.wait_for("notification", lambda said: said["data"]["post"] == post)
        return len(pushes.notes)

    async def choose(**choice: Any) -> None:
        assert (await ann.http.patch(f"{PATH}/preferences", choice)).status == 200

    async def switch(on: bool) -> None:
        profile = {"settings": {"notifications": on}}
        assert (await ann.http.patch(f"/api/users/{ann.id}/profile", profile)).status == 200

    hour = datetime.now(UTC).hour
    quiet_now = {"from": f"{(hour - 2) % 24:02}:00", "to": f"{(hour + 2) % 24:02}:00", "timeZone": "UTC"}
    assert await like("p1") == 1
    await choose(types={"post_like": {"list": True, "push": False}})
    assert await like("p2") == 1
    await choose(types={"post_like": {"list": True, "push": True}})
    await choose(quietHours={"enabled": True, **quiet_now})
    assert await like("p3") == 1
    await choose(quietHours={"enabled": False, **quiet_now})
    await switch(on=False)
    assert await like("p4") == 1
    await switch(on=True)
    assert await like("p5") == 2


async def test_asking_and_taking_back_again_and_again_is_pushed_once(
    plaza: Node, database: Database, ann: Person, bob: Person
) -> None:
    pushes = RecordingPushes()
    service = beside(plaza, database, pushes=pushes)

    for n in range(5):
        note = Note("friend_request", bob.id, "bob asks.", actor_id=bob.id, data={"askedAt": n})
        await service.notify(ann.id, note)
        await service.withdraw(ann.id, "friend_request", bob.id)

    assert len(pushes.notes) == 1


@pytest.mark.parametrize(
    ("moment", "zone", "quiet"),
    [
        ("2026-01-15T21:30", "Europe/Paris", True),
        ("2026-01-15T20:30", "Europe/Paris", False),
        ("2026-07-15T20:30", "Europe/Paris", True),
        ("2026-07-15T05:30", "Europe/Paris", False),
        ("2026-01-15T13:30", "Asia/Tokyo", True),
        ("2026-01-15T22:00", "UTC", True),
        ("2026-01-15T07:00", "UTC", False),
        ("2026-01-15T06:59", "UTC", True),
    ],
)
def test_quiet_hours_follow_the_clock_on_the_persons_wall(moment: str, zone: str, quiet: bool) -> None:
    hours = QuietHours.model_validate({"enabled": True, "timeZone": zone})

    assert rules.is_quiet(hours, datetime.fromisoformat(moment).replace(tzinfo=UTC)) is quiet
    assert not rules.is_quiet(hours.model_copy(update={"enabled": False}), datetime.now(UTC))
