"""The one place where everything is put together: settings, connections, services.

`open_services` starts what a process needs and stops it in the opposite order.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

import structlog
from pydantic import SecretStr
from redis.asyncio import Redis

from common.engines import Engines
from common.ids import Id, new_id
from common.mail import mailer_for
from common.passwords import Passwords
from common.redis_url import RedisUrl
from common.settings import Settings
from common.tokens import AccessTokens, AppealTokens
from documents.connection import initiate_replica_set
from documents.database import Database
from realtime.actors import Actors
from realtime.fanout import Fanout, LocalFanout
from realtime.fanout.bus import BusKey, RedisBus
from realtime.features.accounts import AccountService, Kindred, PeopleFinder, ProfileService
from realtime.features.accounts.commands import AccountCommands
from realtime.features.accounts.service.pictures import Pictures
from realtime.features.conversations import ConversationService
from realtime.features.friends import Acquaintances, FriendBonds, FriendService
from realtime.features.groups import GroupService
from realtime.features.media import MediaService
from realtime.features.media.service.service import Surroundings as MediaSurroundings
from realtime.features.messages import MessageArchive, MessageService
from realtime.features.messages.actor import ConversationActor
from realtime.features.messages.commands import MessageCommands
from realtime.features.messages.schemas import MessageOut
from realtime.features.messages.service import Surroundings as MessageSurroundings
from realtime.features.messages.store import Excerpts
from realtime.features.moderation import ModerationService, Mutes
from realtime.features.moderation.commands import ModeratorSockets
from realtime.features.moderation.schemas.needs import Neighbours
from realtime.features.notifications import MissedMessages, NotificationService
from realtime.features.notifications.commands import NotificationCommands
from realtime.features.personal import PersonalService, Surroundings
from realtime.features.presence import MemoryPresence, PresenceService, PresenceStore, RedisPresence
from realtime.features.presence.commands import PresenceCommands
from realtime.features.push import PushService
from realtime.features.push.commands import PushCommands
from realtime.features.receipts import ReceiptService
from realtime.features.search import Indexer, MessageFinder, MessageIndex, SearchService
from realtime.features.suggestions import (
    FriendsInCommon,
    SameUniversity,
    SharedInterests,
    SuggestionService,
)
from realtime.features.sync import SyncService
from realtime.features.sync.commands import SyncCommands
from realtime.features.sync.service import SyncLimits
from realtime.features.updates import UpdateService
from realtime.gateway.commands import CommandTable
from realtime.gateway.ping import PingCommands
from realtime.gateway.server import Gateway
from realtime.limits import RateLimits
from realtime.listening import Listening
from realtime.order import Turns
from realtime.policy import Policy
from realtime.push_providers import configured
from realtime.redis_client import redis_client
from realtime.upkeep import Upkeep

log = structlog.get_logger(__name__)

STOP_SECONDS = 3.0
ROLES_EVERY = 1.0
UNTOLD_EVERY = 5.0
STORAGES_EVERY = 3600.0


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


@asynccontextmanager
async def open_services(settings: Settings, database: Database | None = None) -> AsyncGenerator[Services]:
    """Start everything a process needs; on leaving, finish what is under way and stop it again.

    Documents belong to one database per process: who opens services more than once shares an open `database`.
    """
    async with AsyncExitStack() as stack:
        wants_mongo = settings.mongo_url is None and database is None
        engines = Engines(settings.data_dir, mongo=wants_mongo, redis=False)
        await stack.enter_async_context(engines)
        if database is None:
            database = await _open_database(settings, engines)
            stack.push_async_callback(database.close)
        redis = _connect_redis(settings)
        if redis is not None:
            stack.push_async_callback(redis.aclose)
        services = _assemble(settings, engines, database, redis)
        stack.push_async_callback(_stop, services)
        await _start(services)
        yield services


async def _open_database(settings: Settings, engines: Engines) -> Database:
    url = _reveal(settings.mongo_url)
    if url is None:
        url = engines.mongo_url
        await initiate_replica_set(url)
    database = Database(url, settings.database)
    await database.open(indexes=settings.migrate)
    return database


def describe_commands(settings: Settings) -> CommandTable:
    """The command table alone, for the documents: nothing is started, nothing is connected."""
    engines = Engines(settings.data_dir, mongo=False, redis=False)
    services = _assemble(settings, engines, Database("mongodb://localhost", settings.database), None)
    _wire(services)
    return services.commands


def _assemble(settings: Settings, engines: Engines, database: Database, redis: Redis | None) -> Services:
    node, local = new_id(), LocalFanout()
    bus = _bus(node, settings, local) if redis is not None else None
    fanout = Fanout(local, bus)
    limits, timeouts, streams = settings.limits, settings.timeouts, settings.streams
    # A little longer than a command may take, so that the command is the one to answer.
    actors = Actors(mailbox=limits.mailbox, deadline=timeouts.command + 1.0)
    accounts = AccountService(
        settings,
        Passwords(settings.accounts.bcrypt_cost),
        AccessTokens(settings.secret()),
        fanout,
        mailer_for(settings),
    )
    people = accounts.people
    policy = Policy(people, FriendBonds())
    updates = UpdateService(
        fanout, keep=streams.keep_updates, batch=streams.batch, page=streams.page, gap=streams.gap
    )
    store = _presence_store(redis, settings)
    push = PushService(settings.push, configured(settings.push), accounts.sessions, store)
    notifications = NotificationService(database, people, policy, updates, push)
    friends = FriendService(people, updates, policy, notifications, accounts.activity)
    conversations = ConversationService(people, policy, updates, fanout, Turns(timeouts.command))
    mutes = Mutes()
    around = Neighbours(database, accounts.audit, accounts.sessions, people, policy, fanout, notifications)
    groups = GroupService(database, conversations, policy, updates, mutes)
    receipts = ReceiptService(conversations, updates, fanout)
    media = MediaService(settings, database, MediaSurroundings(people, policy, fanout, updates))
    messages = MessageService(
        MessageSurroundings(conversations, receipts, mutes, media.library), fanout, batch=streams.batch
    )
    media.audience.register("message", messages.shows_to)
    sync_limits = SyncLimits(page=streams.page, gap=streams.gap, snapshot=streams.snapshot)
    commands = CommandTable()
    return Services(
        settings=settings,
        node=node,
        engines=engines,
        database=database,
        redis=redis,
        bus=bus,
        health=Health(database, bus),
        local=local,
        fanout=fanout,
        actors=actors,
        limits=RateLimits(settings, redis),
        policy=policy,
        accounts=accounts,
        friends=friends,
        presence=(presence := PresenceService(store, people, policy, fanout, grace=timeouts.presence_grace)),
        profiles=ProfileService(accounts, policy, friends, presence, Pictures(settings, media.library)),
        personal=PersonalService(
            settings,
            Surroundings(accounts, groups, conversations, notifications, updates, (media,)),
        ),
        push=push,
        notifications=notifications,
        missed=MissedMessages(notifications, receipts, people, store, presence.is_connected),
        updates=updates,
        conversations=conversations,
        groups=groups,
        receipts=receipts,
        media=media,
        messages=messages,
        moderation=ModerationService(settings.moderation, AppealTokens(settings.secret()), mutes, around),
        search=SearchService(
            PeopleFinder(policy, acquaintances := Acquaintances(policy)),
            MessageFinder(archive := MessageArchive(), conversations, policy),
        ),
        indexer=Indexer(archive, MessageIndex()),
        suggestions=_suggestions(policy, acquaintances),
        sync=SyncService(conversations, messages, receipts, updates, limits=sync_limits),
        commands=commands,
        gateway=Gateway(settings, accounts, commands, actors, local),
        upkeep=Upkeep(
            local,
            accounts,
            groups,
            revocation_every=timeouts.revocation_sweep,
            sweep_every=timeouts.stream_sweep,
        ),
    )


def _suggestions(policy: Policy, acquaintances: Acquaintances) -> SuggestionService:
    """With everything that gives reasons to know somebody."""
    alike = Kindred()
    sources = (FriendsInCommon(acquaintances), SharedInterests(alike), SameUniversity(alike))
    return SuggestionService(policy, acquaintances, alike, sources)


def _wire(services: Services) -> None:
    """What is known only when all parts exist: commands, hooks, actors, and where streams are stored."""
    s = services
    message_commands = MessageCommands(s.actors, s.messages, s.conversations)
    presence_commands = PresenceCommands(s.presence, s.actors)
    push_commands = PushCommands(s.push.foreground)
    for owner in (
        PingCommands(),
        message_commands,
        presence_commands,
        SyncCommands(s.sync),
        AccountCommands(s.accounts),
        NotificationCommands(s.notifications),
        push_commands,
    ):
        s.commands.add(owner)
    listening = Listening(s.local, s.updates, s.conversations)
    s.gateway.hooks = (listening, message_commands, presence_commands, push_commands, _wire_moderation(s))
    s.gateway.wait = partial(s.limits.wait, "user")
    typing = s.settings.timeouts.typing
    s.actors.register("conversation", lambda key: ConversationActor(key, s.messages, s.fanout, typing))
    s.messages.on_sending = message_commands.sent_elsewhere
    s.messages.on_stored = _stored_to(s)
    s.messages.texts.index = s.indexer.index
    s.upkeep.also(s.settings.media.sweep, s.media.library.sweep)
    s.upkeep.also(s.settings.media.sweep, s.media.arrivals.sweep)
    s.upkeep.also(STORAGES_EVERY, s.media.library.sweep_storages)
    s.receipts.on_read = s.groups.on_left = s.missed.read
    s.local.read_from("conversation", s.messages)
    s.local.read_from("user", s.updates)
    s.local.on_heard = s.receipts.heard


def _stored_to(s: Services) -> Callable[[Sequence[MessageOut]], None]:
    """Who hears of every message that is stored."""

    def stored(messages: Sequence[MessageOut]) -> None:
        s.missed.heard(messages)
        s.indexer.heard(messages)
        for message in messages:
            s.accounts.activity.sent(message.from_, message.id)

    return stored


def _wire_moderation(s: Services) -> ModeratorSockets:
    """Who asks moderation, what it looks after all the time, and its hook."""
    s.accounts.bans = s.moderation.sanctions
    s.accounts.administration.farewells = s.personal.deletions
    s.moderation.reports.register("message", Excerpts())
    sockets = ModeratorSockets(s.local, s.accounts.sessions)
    s.upkeep.also(s.settings.timeouts.revocation_sweep, s.moderation.mutes.look)
    s.upkeep.also(ROLES_EVERY, sockets.sweep)
    s.upkeep.also(UNTOLD_EVERY, s.moderation.sanctions.tell_untold)
    return sockets


async def _start(services: Services) -> None:
    _wire(services)
    if services.bus is not None:
        await services.bus.start()
    await services.limits.start()
    await services.accounts.start()
    await services.presence.start()
    await services.media.start()
    await services.push.start()
    await services.notifications.start()
    await services.moderation.start()
    await services.friends.teller.start()
    services.personal.start()
    services.indexer.start()
    timeouts = services.settings.timeouts
    services.missed.start(timeouts.ping_interval + timeouts.ping_timeout + timeouts.presence_grace)
    services.upkeep.start(heals=services.bus is not None)


async def _stop(services: Services) -> None:
    """Actors first, for they use the rest; the bus last, for everything is said through it."""
    await services.upkeep.stop()
    await services.personal.stop()
    await services.indexer.stop()
    await services.gateway.stop(STOP_SECONDS)
    await services.actors.stop(STOP_SECONDS)
    await services.friends.teller.stop()
    await services.messages.stop(STOP_SECONDS)
    await services.missed.stop(STOP_SECONDS)
    await services.presence.stop()
    await services.notifications.stop(STOP_SECONDS)
    await services.media.stop()
    await services.push.stop()
    await services.receipts.stop()
    await services.updates.stop(STOP_SECONDS)
    await services.accounts.stop()
    await services.limits.stop()
    if services.bus is not None:
        await services.bus.stop()


def _bus(node: Id, settings: Settings, local: LocalFanout) -> RedisBus | None:
    url = _redis_url(settings)
    if url is None:
        return None
    bus = RedisBus(url, node, BusKey(settings.database, settings.secret()), local)
    local.interest = bus
    return bus


def _connect_redis(settings: Settings) -> Redis | None:
    url = _redis_url(settings)
    return redis_client(url) if url is not None else None


def _redis_url(settings: Settings) -> RedisUrl | None:
    url = _reveal(settings.redis_url)
    return RedisUrl.parse(url) if url is not None else None


def _presence_store(redis: Redis | None, settings: Settings) -> PresenceStore:
    if redis is None:
        return MemoryPresence()
    timeouts = settings.timeouts
    return RedisPresence(
        redis, lease=timeouts.presence_lease, grace=timeouts.presence_grace, space=settings.database
    )


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
