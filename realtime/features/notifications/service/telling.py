"""Telling of changes: to a person's log, which all devices read, and to push."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.ids import Id
from documents.notifications import Change, Notification
from realtime.channels import Publication
from realtime.features.accounts.schemas.users import UserCard
from realtime.features.notifications import rules
from realtime.features.notifications.schemas import (
    NotificationOut,
    NotificationRead,
    NotificationRemoved,
    Notified,
    People,
    Person,
    Pushes,
    Updates,
)
from realtime.features.push.schemas import PushNote


class Teller:
    """Says changes in order. Each has a key, so what is told again is logged once; pushes have theirs."""

    def __init__(self, people: People, updates: Updates, pushes: Pushes) -> None:
        self._people, self._updates, self._pushes = people, updates, pushes

    async def tell(self, user_id: Id, changes: Sequence[Change]) -> None:
        """One after the other: a log that fails between two is taken up there."""
        told = [one.notification for one in changes if one.notification is not None and one.actor is None]
        actors = {one.actor for one in told if one.actor is not None}
        people = await self._people.many(actors) if actors else dict[Id, Person]()
        for change in changes:
            said = _publication(change, people)
            await self._updates.append([user_id], said, key=f"notification:{change.version}")
            if change.dismiss:
                await self._pushes.dismiss(user_id, [rules.push_key(*one) for one in change.dismiss])
            if change.push and change.notification is not None:
                await self._pushes.put(_push_note(change.notification, change.unread))


def shown(notification: Notification, people: Mapping[Id, Person]) -> NotificationOut:
    """A notification as the wire shows it."""
    return NotificationOut(**_fields(notification, _actor(notification, people)))


def card(person: Person | None) -> UserCard | None:
    if person is None:
        return None
    return UserCard(id=person.id, name=person.name, handle=person.handle, avatar=person.avatar)


def _actor(told: Notification, people: Mapping[Id, Person]) -> UserCard | None:
    return card(people.get(told.actor)) if told.actor is not None else None


def _fields(told: Notification, actor: UserCard | None) -> dict[str, Any]:
    return {
        "id": told.id,
        "type": told.type,
        "text": told.text,
        "actor": actor,
        "data": told.data,
        "count": told.times,
        "read": not told.unread,
        "created_at": told.created_at,
        "updated_at": told.at,
    }


def _publication(change: Change, people: Mapping[Id, Person]) -> Publication:
    stands: dict[str, Any] = {"unread_count": change.unread, "version": change.version}
    if change.notification is not None:
        known = UserCard.model_validate(change.actor) if change.actor is not None else None
        return Notified(
            **_fields(change.notification, known or _actor(change.notification, people)), **stands
        )
    if change.kind == "read":
        return NotificationRead(ids=change.ids, **stands)
    return NotificationRemoved(ids=change.ids or [], **stands)


def _push_note(told: Notification, unread: int) -> PushNote:
    return PushNote(
        user_id=told.user,
        notification_id=told.id,
        type=told.type,
        key=rules.push_key(told.type, told.key),
        title=rules.TITLES[told.type],
        body=told.text,
        data={name: str(value) for name, value in told.data.items()},
        badge=unread,
    )
