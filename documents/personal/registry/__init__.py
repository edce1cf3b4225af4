"""Every kind of document, and what it has to do with people. Whoever adds one says it here.

A copy holds what somebody said, did, chose or owns. It does not hold hashes and tokens, what others said or
noted about them, or what can be worked out from the rest.
"""

from documents.personal.deletions import Deletion
from documents.personal.exports import Export, ExportPart
from documents.personal.holdings import Delete, Elsewhere, Holding, Keep
from documents.personal.registry.accounts import ACCOUNTS
from documents.personal.registry.conversations import CONVERSATIONS
from documents.personal.registry.friends import FRIENDS
from documents.personal.registry.moderation import MODERATION
from documents.personal.registry.notifications import NOTIFICATIONS

_PERSONAL: tuple[Holding, ...] = (
    Holding(
        Deletion,
        {"user_id": Elsewhere("finish"), "by": Elsewhere("finish"), "pseudonym": Keep("Goes with it.")},
        others=("_id", "lease"),
        copy="who is leaving has no copies made",
    ),
    Holding(Export, {"_id": Delete()}, others=("archive",), copy="about copies"),
    Holding(ExportPart, {"user_id": Delete()}, others=("archive",), copy="the copies themselves"),
)
HOLDINGS: tuple[Holding, ...] = (
    *_PERSONAL,
    *NOTIFICATIONS,
    *MODERATION,
    *FRIENDS,
    *CONVERSATIONS,
    *ACCOUNTS,
)
"""In the order in which they are erased; what is done last is done in this order, too."""

__all__ = ["HOLDINGS"]
