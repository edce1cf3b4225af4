"""People, their log-ins, and what is kept to protect both."""

from beanie import Document

from documents.accounts.activity import Activity, Tally
from documents.accounts.administration import Listing
from documents.accounts.audit import AdminAudit, AuditHead, AuditTurn, Chain, Which
from documents.accounts.choices import Privacy, Shown, UserSettings
from documents.accounts.failures import LoginFailures
from documents.accounts.logins import LoginSession, SpentRefresh, Why
from documents.accounts.names import HeldHandle, claims_of
from documents.accounts.pictured import Pictured
from documents.accounts.resets import PasswordReset
from documents.accounts.standing import Caller, Standing
from documents.accounts.users import Decision, Skill, User, Window

DOCUMENTS: list[type[Document]] = [
    User,
    LoginSession,
    SpentRefresh,
    PasswordReset,
    LoginFailures,
    AdminAudit,
    AuditHead,
    Activity,
]

__all__ = [
    "DOCUMENTS",
    "Activity",
    "AdminAudit",
    "AuditHead",
    "AuditTurn",
    "Caller",
    "Chain",
    "Decision",
    "HeldHandle",
    "Listing",
    "LoginFailures",
    "LoginSession",
    "PasswordReset",
    "Pictured",
    "Privacy",
    "Shown",
    "Skill",
    "SpentRefresh",
    "Standing",
    "Tally",
    "User",
    "UserSettings",
    "Which",
    "Why",
    "Window",
    "claims_of",
]
