"""Accounts, log-ins, points and the audit log."""

from common.ids import Id
from documents.accounts import (
    Activity,
    AdminAudit,
    LoginFailures,
    LoginSession,
    PasswordReset,
    SpentRefresh,
    User,
)
from documents.accounts.audit import AuditHead
from documents.personal.holdings import Copy, Delete, DeleteLast, DeletePrefixed, Holding, Keep
from documents.rows import Raw


def _profile(raw: Raw, _: Id) -> Raw:
    return {("id" if name == "_id" else name): value for name, value in raw.items() if name not in _NOT_SHOWN}


_NOT_SHOWN = {
    "email_key",
    "handle_key",
    "handle_skeleton",
    "handle_claims",
    "password_hash",
    "guards",
    "leaving",
    "revision",
    "search_handle",
    "search_name",
    "search_text",
    "search_grams",
}
_SEALED = Keep("What administrators did stays provable: rows are sealed. The id in them leads nowhere.")

ACCOUNTS: tuple[Holding, ...] = (
    Holding(User, {"_id": DeleteLast()}, copy=Copy("profile", "_id", shape=_profile)),
    Holding(
        LoginSession,
        {"user_id": Delete()},
        others=("_id",),
        copy=Copy(
            "logins",
            "user_id",
            (
                "_id",
                "user_agent",
                "address",
                "created_at",
                "last_used_at",
                "expires_at",
                "revoked_at",
                "revoked_why",
            ),
        ),
    ),
    Holding(SpentRefresh, {}, others=("login_id",), copy="hashes, gone when their log-in would have ended"),
    Holding(
        PasswordReset,
        {"user_id": Delete()},
        copy=Copy("password_resets", "user_id", ("created_at", "expires_at", "used_at")),
    ),
    Holding(
        LoginFailures,
        {"_id": DeletePrefixed(("account:", "reset:"))},
        copy="counters that end by themselves",
    ),
    Holding(
        AdminAudit,
        {"actor": _SEALED, "target": _SEALED},
        others=("_id", "detail"),
        copy=Copy("decisions_about_me", "target", ("action", "at")),
    ),
    Holding(AuditHead, {}, copy="about nobody"),
    Holding(
        Activity,
        {"user_id": Delete()},
        others=("_id",),
        copy=Copy("points", "user_id", ("kind", "day", "points", "at")),
    ),
)
