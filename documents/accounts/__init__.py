"""People, their log-ins, and what is kept to protect both."""

from beanie import Document

from documents.accounts.activity import Activity
from documents.accounts.audit import AdminAudit
from documents.accounts.failures import LoginFailures
from documents.accounts.logins import LoginSession, SpentRefresh, Why
from documents.accounts.resets import PasswordReset
from documents.accounts.users import Caller, Decision, Privacy, Skill, Standing, User, UserSettings, Window

DOCUMENTS: list[type[Document]] = [
    User,
    LoginSession,
    SpentRefresh,
    PasswordReset,
    LoginFailures,
    AdminAudit,
    Activity,
]

__all__ = [
    "DOCUMENTS",
    "Activity",
    "AdminAudit",
    "Caller",
    "Decision",
    "LoginFailures",
    "LoginSession",
    "PasswordReset",
    "Privacy",
    "Skill",
    "SpentRefresh",
    "Standing",
    "User",
    "UserSettings",
    "Why",
    "Window",
]
