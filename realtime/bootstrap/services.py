"""Everything a process can do, by name."""

from dataclasses import dataclass, field
from time import monotonic

from redis.asyncio import Redis

from common.engines import Engines
from common.ids import Id
from common.settings import Settings
from documents.database import Database
from realtime.actors import Actors
from realtime.fanout import Fanout, LocalFanout
from realtime.fanout.bus import RedisBus
from realtime.features.accounts import AccountService, ProfileService
from realtime.features.conversations import ConversationService
from realtime.features.friends import FriendService
from realtime.features.groups import GroupService
from realtime.features.media import MediaService
from realtime.features.messages import MessageService
from realtime.features.moderation import ModerationService
from realtime.features.notifications import MissedMessages, NotificationService
from realtime.features.personal import PersonalService
from realtime.features.presence import PresenceService
from realtime.features.push import PushService
from realtime.features.receipts import ReceiptService
from realtime.features.search import Indexer, SearchService
from realtime.features.suggestions import (
    SuggestionService,
)
from realtime.features.sync import SyncService
from realtime.features.updates import UpdateService
from realtime.gateway.commands import CommandTable
from realtime.gateway.server import Gateway
from realtime.limits import RateLimits
from realtime.policy import Policy
from realtime.upkeep import Upkeep


@dataclass(slots=True)
class Health:
    """Whether this node should be sent anybody."""

    database: Database
    bus: RedisBus | None
    draining: bool = False
    started: float = field(default_factory=monotonic)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a process can do."""

    settings: Settings
    node: Id
    engines: Engines
    database: Database
    redis: Redis | None
    bus: RedisBus | None
    health: Health
    local: LocalFanout
    fanout: Fanout
    actors: Actors
    limits: RateLimits
    policy: Policy
    accounts: AccountService
    friends: FriendService
    presence: PresenceService
    profiles: ProfileService
    personal: PersonalService
    push: PushService
    notifications: NotificationService
    missed: MissedMessages
    updates: UpdateService
    conversations: ConversationService
    groups: GroupService
    receipts: ReceiptService
    media: MediaService
    messages: MessageService
    moderation: ModerationService
    search: SearchService
    indexer: Indexer
    suggestions: SuggestionService
    sync: SyncService
    commands: CommandTable
    gateway: Gateway
    upkeep: Upkeep

    async def failed(self) -> str:
        """Wait until an embedded engine is beyond help."""
        return str(await self.engines.failed())
