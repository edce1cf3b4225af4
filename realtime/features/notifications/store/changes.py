"""The changes there are of what a person is told. Each runs within a transaction that the ledger opens."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from common.clock import now
from common.errors import NotFound
from common.ids import Id
from documents.notifications import Change, Notification
from realtime.features.accounts.schemas.users import UserCard
from realtime.features.notifications import rules
from realtime.features.notifications.schemas import Note


class NotificationNotFound(NotFound):
    text = "There is no such notification."


@dataclass(frozen=True, slots=True)
class Telling:
    """A note on its way to a person: who did it, whether to push it, and how often it happened if known."""

    user_id: Id
    note: Note
    actor: UserCard | None
    push: bool
    times: int | None = None


async def put(telling: Telling, session: Any) -> Change | None:
    """Tell of something: a new notification, or once more what stands. A retry changes nothing."""
    note = telling.note
    known = await Notification.of_key(telling.user_id, note.type, note.key, session)
    occurrence = rules.occurrence(note.actor_id, note.data)
    if known is not None and occurrence in known.told:
        return None
    if known is not None and known.state != "gone":
        again = _again(known, telling, occurrence)
        await Notification.put(again, session)
        return _told(again, telling, push=telling.push)
    fresh = _fresh(known, telling, occurrence)
    if known is not None:
        await Notification.drop([known.id], session)
    await Notification.put(fresh, session)
    rings = rules.rings(note.type, known.gone_at if known is not None else None, fresh.at)
    return _told(fresh, telling, push=telling.push and rings)


def _told(notification: Notification, telling: Telling, *, push: bool) -> Change:
    actor = telling.actor.model_dump() if telling.actor is not None else None
    return Change(kind="put", at=notification.at, notification=notification, actor=actor, push=push)


def _fresh(gone: Notification | None, telling: Telling, occurrence: str) -> Notification:
    note, moment = telling.note, now()
    return Notification(
        user=telling.user_id,
        type=note.type,
        key=note.key,
        actor=note.actor_id,
        text=note.text,
        data=dict(note.data),
        times=telling.times or 1,
        told=[*(gone.told if gone else ()), occurrence][-rules.OCCURRENCES :],
        created_at=moment,
        at=moment,
    )


def _again(known: Notification, telling: Telling, occurrence: str) -> Notification:
    """It happens again: what was unread counts on, what was read begins anew."""
    note, moment = telling.note, max(now(), known.at)
    before = known.times if known.unread else 0
    fresh = {} if known.unread else {"unread": True, "read_at": None, "created_at": moment}
    return known.model_copy(
        update={
            **fresh,
            "actor": note.actor_id,
            "text": note.text,
            "data": dict(note.data),
            "times": before + 1 if telling.times is None else max(before, telling.times),
            "told": [*known.told, occurrence][-rules.OCCURRENCES :],
            "at": moment,
            "state": "shown",
        }
    )


async def withdraw(user_id: Id, type_: str, key: str, session: Any) -> Change | None:
    """Take it back."""
    known = await Notification.of_key(user_id, type_, key, session)
    return await _remove(known, session) if known is not None else None


async def remove(user_id: Id, notification_id: Id, session: Any) -> Change | None:
    """The person wants it gone; again is fine for as long as it is remembered."""
    known = await Notification.of_id(user_id, notification_id, session)
    if known is None or known.state == "away":
        raise NotificationNotFound
    return await _remove(known, session)


async def _remove(known: Notification, session: Any) -> Change | None:
    if known.state == "gone":
        return None
    moment = now()
    gone = known.model_copy(
        update={"state": "gone", "unread": False, "gone_at": moment, "data": {}, "text": ""}
    )
    await Notification.put(gone, session)
    return _removed([known]) if known.state == "shown" else None


def _removed(gone: Collection[Notification]) -> Change:
    return Change(kind="removed", ids=[one.id for one in gone], dismiss=[(one.type, one.key) for one in gone])


async def read(user_id: Id, notification_id: Id, session: Any) -> Change | None:
    """The person has read it."""
    known = await Notification.of_id(user_id, notification_id, session)
    if known is None or known.state != "shown":
        raise NotificationNotFound
    if not known.unread:
        return None
    change = Change(kind="read", ids=[known.id], dismiss=[(known.type, known.key)])
    await Notification.set_where(user_id, {"_id": known.id}, {"unread": False, "read_at": change.at}, session)
    return change


async def read_all(user_id: Id, session: Any) -> Change | None:
    """The person has read all there are; what is away counts as read, too."""
    unread = await Notification.where(user_id, {"state": {"$ne": "gone"}, "unread": True}, session)
    if not unread:
        return None
    change = Change(kind="read", dismiss=[(one.type, one.key) for one in unread if one.state == "shown"])
    await Notification.set_where(user_id, {"unread": True}, {"unread": False, "read_at": change.at}, session)
    return change


async def send_away(user_id: Id, actors: Collection[Id], session: Any) -> Change | None:
    """These actors are absent for the person now."""
    theirs = {"state": "shown", "actor": {"$in": list(actors)}}
    hidden = await Notification.where(user_id, theirs, session)
    if not hidden:
        return None
    await Notification.set_where(user_id, theirs, {"state": "away"}, session)
    return _removed(hidden)


async def bring_back(user_id: Id, notification_id: Id, session: Any) -> Change | None:
    """Its actor can be seen again."""
    known = await Notification.of_id(user_id, notification_id, session)
    if known is None or known.state != "away":
        return None
    back = known.model_copy(update={"state": "shown"})
    await Notification.put(back, session)
    return Change(kind="put", notification=back)


async def trim(user_id: Id, actor_id: Id | None, session: Any) -> Change | None:
    """Forget the oldest when they are too many, also those of one actor: nobody drowns what others do."""
    old = await Notification.beyond(user_id, {}, rules.KEEP, session)
    if actor_id is not None:
        old += await Notification.beyond(user_id, {"actor": actor_id}, rules.PER_ACTOR, session)
    if not old:
        return None
    distinct = {one.id: one for one in old}
    await Notification.drop(distinct.keys(), session)
    return _removed(distinct.values())
