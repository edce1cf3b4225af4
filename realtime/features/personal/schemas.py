"""The shapes of copies and deletions, and what they need of the other features."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import Field

from common.ids import Id
from common.passwords import Password
from realtime.channels import Publication, Wire
from realtime.policy import Verb


class DeletionIn(Wire):
    """One's own password, once more."""

    password: Password


class DeletionOut(Wire):
    """When the account will be erased. Until then, logging in shows the way back."""

    deletes_at: datetime


class RestoreIn(Wire):
    """The `restore_token` that logging in has answered with."""

    token: Annotated[str, Field(min_length=1, max_length=200)]


class ExportOut(Wire):
    """A copy of what is stored about the caller. `size` is in bytes; after `expiresAt` it is gone."""

    state: Literal["building", "ready", "failed"]
    asked_at: datetime
    size: int | None = None
    expires_at: datetime | None = None


class EntryErased(Publication, event="entry_erased", verb=Verb.OWN, logged=True):
    """An entry about somebody whose account has been deleted stood here. There is nothing to do."""


class Accounts(Protocol):
    """Who people are."""

    async def require_password(self, user_id: Id, password: str, address: str) -> object:
        """Raises unless that is the person's password; attempts are counted."""
        ...

    async def shut_out(self, user_id: Id) -> None:
        """Let somebody who does not take part any more act nowhere."""
        ...

    def forget_person(self, user_id: Id) -> None:
        """Somebody's standing has changed."""
        ...


class Groups(Protocol):
    """The groups people are in."""

    async def remove_member(self, user_id: Id, conversation_id: Id, other: Id) -> None: ...


class Belongings(Protocol):
    """What people have that is no document, such as media."""

    def files_of(self, user_id: Id) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """Their files by name, each read when its turn comes; a name may hold folders."""
        ...

    async def erase(self, user_id: Id) -> None:
        """Delete them; doing it again is fine."""
        ...


class Conversations(Protocol):
    """Who talks with whom."""

    async def tell(self, conversation_id: Id, publication: Publication, key: str) -> None:
        """Log a change for every member."""
        ...


class Notifications(Protocol):
    """What people were told of others."""

    async def reconsider(self, user_id: Id, actor_id: Id) -> None:
        """Hide from a person what `actor_id` did, or show it again, as policy has it now."""
        ...


class Updates(Protocol):
    """The durable log of each person."""

    async def append(
        self, user_ids: Iterable[Id], publication: Publication, *, key: str | None = None
    ) -> None: ...
