"""People as administrators see them."""

from datetime import datetime

from common.ids import Id
from common.passwords import NewPassword
from realtime.features.accounts.schemas.common import Email, Handle, Snake


class AdminUserOut(Snake):
    """An account with its standing."""

    id: Id
    username: str
    handle: str
    email: str | None
    name: str
    is_admin: bool
    is_approved: bool
    is_banned: bool
    rejected: bool
    is_certified: bool
    created_at: datetime
    last_active: datetime


class AdminIn(Snake):
    """A new administrator."""

    username: Handle
    email: Email | None = None
    password: NewPassword
