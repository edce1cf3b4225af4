"""Who may take part."""

from typing import Literal

from common.errors import Forbidden

Standing = Literal["active", "pending", "rejected", "banned", "leaving"]


class PendingApproval(Forbidden):
    code, text = "pending_approval", "Your account is waiting for approval."


class Rejected(Forbidden):
    code, text = "account_rejected", "Your account was not approved."


class Banned(Forbidden):
    code, text = "account_banned", "Your account is banned."


class AccountLeaving(Forbidden):
    code, text = "account_leaving", "This account is going to be deleted."


class AdminOnly(Forbidden):
    code, text = "admin_only", "Only administrators may do that."


class ModeratorOnly(Forbidden):
    code, text = "moderator_only", "Only moderators and administrators may do that."


_REFUSALS = {"pending": PendingApproval, "rejected": Rejected, "banned": Banned, "leaving": AccountLeaving}


def require_active(standing: Standing) -> None:
    """Refuse who may not take part, saying why."""
    if standing != "active":
        raise _REFUSALS[standing]
