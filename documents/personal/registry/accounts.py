"""Accounts, log-ins, points and the audit log."""

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

_PROFILE = (
    *("_id", "email", "handle", "handle_changed_at", "held_handles", "name", "full_name"),
    *("avatar", "cover_photo", "bio", "location", "website", "university", "degree", "year"),
    *("interests", "skills", "settings", "invisible", "auto_invite_enabled", "preferred_radius"),
    *("is_admin", "is_moderator", "is_approved", "is_certified", "rejected"),
    *("is_banned", "banned_until", "is_muted", "muted_until", "is_limited", "limited_until"),
    *("vibe_score", "streak", "streak_day", "created_at", "last_active"),
)
_INNER = (
    *("password_hash", "email_key", "handle_key", "handle_skeleton", "handle_claims"),
    *("search_handle", "search_name", "search_text", "search_grams"),
    *("leaving", "guards", "revision", "restricted_at"),
)
"""What a profile is found and guarded by. A new field is either here or above."""
_SEALED = Keep("What administrators did stays provable: rows are sealed. The id in them leads nowhere.")

ACCOUNTS: tuple[Holding, ...] = (
    Holding(User, {"_id": DeleteLast()}, copy=Copy("profile", "_id", _PROFILE, hidden=_INNER)),
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
        others=("_id", "detail", "request_id"),
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
