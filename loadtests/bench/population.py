# pyright: strict
"""People for the benchmark: real accounts, log-ins and groups in bulk; tokens that pass the real door."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import bcrypt
from beanie import Document

from common.clock import now
from common.ids import Id, new_id
from common.tokens import REFRESH, AccessTokens, Subject, digest, new_token
from documents.accounts import LoginSession, User
from documents.conversations import Conversation, Member
from documents.database import Database
from documents.rows import rows
from realtime.features.accounts.rules import finding
from realtime.features.accounts.schemas import handles

LIFETIME = 86_400
BATCH = 2000
COST = 12


@dataclass(frozen=True)
class Crowd:
    """Connections that may come: the first one publishes to the conversation, the others hear it."""

    conversation: Id
    auths: Path
    """What each connection says when it connects, one JSON object in a line."""
    connections: int


class Population:
    """Makes crowds; the same one for the same wish."""

    def __init__(self, mongo_url: str, name: str, secret: str, folder: Path) -> None:
        self._database, self._folder = Database(mongo_url, name), folder
        self._tokens = AccessTokens(secret.encode())
        self._hash = bcrypt.hashpw(b"nobody logs in here", bcrypt.gensalt(COST)).decode()
        self._crowds: dict[tuple[int, int, int], Crowd] = {}
        self._people = 0

    async def open(self) -> None:
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    async def crowd(self, connections: int, *, members: int | None = None, group: int | None = None) -> Crowd:
        """So many connections of `members` people (one each), in groups of `group` (all in one).

        With fewer people than connections the first has one device, and the others share the rest.
        """
        people = members or connections
        wish = (connections, people, group or people)
        if wish not in self._crowds:
            self._crowds[wish] = await self._make(*wish)
        return self._crowds[wish]

    async def _make(self, connections: int, members: int, group: int) -> Crowd:
        people = [self._person() for _ in range(members)]
        owners = [0] + [1 + at % (members - 1) for at in range(connections - 1)]
        logins = [_login(people[owner]) for owner in owners]
        await _store(people)
        await _store(logins)
        groups = [await self._found(people[at : at + group]) for at in range(0, members, group)]
        auths = self._folder / f"auths-{connections}-{members}-{group}.jsonl"
        issued = int(now().timestamp())
        with auths.open("w") as file:
            for owner, login in zip(owners, logins, strict=True):
                subject = Subject(people[owner].id, login.id, people[owner].username, people[owner].email)
                file.write(f'{{"token":"{self._tokens.issue(subject, issued, LIFETIME)}"}}\n')
        return Crowd(groups[0], auths, connections)

    def _person(self) -> User:
        self._people += 1
        handle = f"bench.{self._people:06d}"
        person = User(
            email=f"{handle}@example.org",
            email_key=handles.email_key(f"{handle}@example.org"),
            handle=handle,
            handle_key=handles.key(handle),
            handle_skeleton=handles.skeleton(handle),
            name=handle,
            password_hash=self._hash,
        )
        return person.model_copy(update=finding.by(person))

    async def _found(self, people: Sequence[User]) -> Id:
        """A group of these people, the first its owner."""
        owner = people[0].id
        group = Conversation(kind="group", name="Bench", created_by=owner, member_count=len(people))
        members = [
            Member(conversation=group.id, user=one.id, role="owner" if one.id == owner else "member")
            for one in people
        ]

        async def work(session: Any) -> None:
            await Conversation.found(group, members, session)

        await self._database.transaction(work)
        return group.id


def _login(person: User) -> LoginSession:
    refresh = digest(new_token(REFRESH))
    return LoginSession(
        id=new_id(), user_id=person.id, refresh_hash=refresh, expires_at=now() + timedelta(seconds=LIFETIME)
    )


async def _store(documents: Sequence[Document]) -> None:
    for at in range(0, len(documents), BATCH):
        batch = documents[at : at + BATCH]
        raw = [one.model_dump(by_alias=True, exclude={"revision_id"}) for one in batch]
        await rows(type(batch[0])).insert_many(raw, ordered=False)
