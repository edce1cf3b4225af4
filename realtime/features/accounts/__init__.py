"""Accounts: who people are, and that it is them."""

from realtime.features.accounts.schemas.users import Online, Relations
from realtime.features.accounts.service.accounts import AccountService
from realtime.features.accounts.service.activity import ActivityService
from realtime.features.accounts.service.administration import AdministrationService
from realtime.features.accounts.service.audit import AuditService
from realtime.features.accounts.service.finder import PeopleFinder
from realtime.features.accounts.service.kindred import Kindred
from realtime.features.accounts.service.people import People
from realtime.features.accounts.service.profiles import ProfileService
from realtime.gateway.session import Identity

__all__ = [
    "AccountService",
    "ActivityService",
    "AdministrationService",
    "AuditService",
    "Identity",
    "Kindred",
    "Online",
    "People",
    "PeopleFinder",
    "ProfileService",
    "Relations",
]
