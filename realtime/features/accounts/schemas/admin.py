"""People as administrators see and change them, and what administrators did."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from common.ids import Id
from common.passwords import NewPassword
from realtime.channels import Wire
from realtime.features.accounts.schemas.common import Email, Handle, Snake

Listing = Literal["active", "pending", "rejected", "banned", "muted", "limited", "leaving", "staff"]


class AdminUserOut(Snake):
    """An account with its standing. What is taken for a while ends at `…_until`, or never if that is null."""

    id: Id
    username: str
    handle: str
    email: str | None
    name: str
    standing: Literal["active", "pending", "rejected", "banned", "leaving"]
    is_admin: bool
    is_moderator: bool
    is_approved: bool
    rejected: bool
    is_certified: bool
    is_banned: bool
    banned_until: datetime | None
    is_muted: bool
    muted_until: datetime | None
    is_limited: bool
    limited_until: datetime | None
    created_at: datetime
    last_active: datetime


class AdminIn(Snake):
    """A new administrator."""

    username: Handle
    email: Email | None = None
    password: NewPassword


class AdminUserIn(Snake):
    """What an administrator sets of somebody; what is not named stays.

    `is_approved: false` takes somebody's part until they are approved again.
    """

    is_admin: bool | None = None
    is_moderator: bool | None = None
    is_approved: bool | None = None
    is_certified: bool | None = None

    @model_validator(mode="after")
    def _names_something(self) -> "AdminUserIn":
        if not self.model_fields_set or any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("name what is to be set, and to what")
        return self


class UsersQuery(Wire):
    """Accounts of one kind; `q` is an id, or how a handle or an e-mail address begins."""

    standing: Listing | None = None
    q: Annotated[str, Field(min_length=1, max_length=254)] | None = None


class AuditQuery(Wire):
    """Which rows: of one actor, about one target, of one action, from `since` until before `until`."""

    actor: Annotated[str, Field(min_length=1, max_length=36)] | None = None
    target: Id | None = None
    action: Annotated[str, Field(min_length=1, max_length=40, pattern="^[a-z_]+$")] | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditOut(Wire):
    """Who did what to whom, by which request. `hash` seals the row and `prev`, the hash before it."""

    model_config = ConfigDict(extra="ignore")

    id: Id
    seq: int
    actor: str
    action: str
    target: Id
    detail: dict[str, Any]
    at: datetime
    request_id: str | None
    prev: str
    hash: str
