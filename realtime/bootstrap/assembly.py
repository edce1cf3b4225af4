"""From settings and connections to services, by constructor arguments."""

from dataclasses import dataclass

from redis.asyncio import Redis

from common.engines import Engines
from common.ids import Id, new_id
from common.mail import mailer_for
from common.passwords import Passwords
from common.settings import Settings
from common.tokens import AccessTokens, AppealTokens
from documents.database import Database
from realtime.actors import Actors
from realtime.bootstrap.connections import open_bus, presence_store
from realtime.bootstrap.services import Health, Services
from realtime.fanout import Fanout, LocalFanout
from realtime.fanout.bus import RedisBus
from realtime.features.accounts import AccountService, Kindred, PeopleFinder, ProfileService
from realtime.features.accounts.service.pictures import Pictures, ShownPictures
from realtime.features.conversations import ConversationService
from realtime.features.friends import Acquaintances, FriendBonds, FriendService
from realtime.features.groups import GroupService
from realtime.features.media import MediaService
from realtime.features.media.service.service import Surroundings as MediaSurroundings
from realtime.features.messages import MessageArchive, MessageService, ShownMedia
from realtime.features.messages.service import Surroundings as MessageSurroundings
from realtime.features.moderation import ModerationService, Mutes
from realtime.features.moderation.schemas.needs import Neighbours
from realtime.features.notifications import MissedMessages, NotificationService
from realtime.features.personal import PersonalService, Surroundings
from realtime.features.presence import PresenceService, PresenceStore
from realtime.features.push import PushService
from realtime.features.receipts import ReceiptService
from realtime.features.search import Indexer, MessageFinder, MessageIndex, SearchService
from realtime.features.suggestions import (
    FriendsInCommon,
    SameUniversity,
    SharedInterests,
    SuggestionService,
)
from realtime.features.sync import SyncService
from realtime.features.sync.service import SyncLimits
from realtime.features.updates import UpdateService
from realtime.gateway.commands import CommandTable
from realtime.gateway.server import Gateway
from realtime.limits import RateLimits
from realtime.order import Turns
from realtime.policy import Policy
from realtime.push_providers import configured
from realtime.upkeep import Upkeep


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything stands on."""

    settings: Settings
    database: Database
    redis: Redis | None
    node: Id
    local: LocalFanout
    bus: RedisBus | None
    fanout: Fanout


@dataclass(frozen=True, slots=True)
class Society:
    """People, what they are to each other, and how they are told."""

    accounts: AccountService
    policy: Policy
    updates: UpdateService
    presences: PresenceStore
    push: PushService
    notifications: NotificationService
    friends: FriendService
    presence: PresenceService
    media: MediaService
    mutes: Mutes


@dataclass(frozen=True, slots=True)
class Talk:
    """What people say to each other, and where."""

    conversations: ConversationService
    groups: GroupService
    receipts: ReceiptService
    messages: MessageService


def assemble(settings: Settings, engines: Engines, database: Database, redis: Redis | None) -> Services:
    """All services of a process; nothing is started, nothing is asked."""
    node, local = new_id(), LocalFanout()
    bus = open_bus(node, settings, local) if redis is not None else None
    ground = Ground(settings, database, redis, node, local, bus, Fanout(local, bus))
    society = _society(ground)
    return _services(ground, engines, society, _talk(ground, society))


def _society(ground: Ground) -> Society:
    settings, database, fanout, timeouts = (
        ground.settings,
        ground.database,
        ground.fanout,
        ground.settings.timeouts,
    )
    accounts = AccountService(
        settings,
        Passwords(settings.accounts.bcrypt_cost),
        AccessTokens(settings.secret()),
        fanout,
        mailer_for(settings),
    )
    people, streams = accounts.people, settings.streams
    policy = Policy(people, FriendBonds())
    updates = UpdateService(
        fanout, keep=streams.keep_updates, batch=streams.batch, page=streams.page, gap=streams.gap
    )
    store = presence_store(ground.redis, settings)
    push = PushService(settings.push, configured(settings.push), accounts.sessions, store)
    notifications = NotificationService(database, people, policy, updates, push)
    return Society(
        accounts=accounts,
        policy=policy,
        updates=updates,
        presences=store,
        push=push,
        notifications=notifications,
        friends=FriendService(people, updates, policy, notifications, accounts.activity),
        presence=PresenceService(store, people, policy, fanout, grace=timeouts.presence_grace),
        media=MediaService(
            settings, database, MediaSurroundings(people, policy, fanout, updates, accounts.audit)
        ),
        mutes=Mutes(),
    )


def _talk(ground: Ground, society: Society) -> Talk:
    settings, fanout, policy, updates = ground.settings, ground.fanout, society.policy, society.updates
    turns = Turns(settings.timeouts.command)
    conversations = ConversationService(society.accounts.people, policy, updates, fanout, turns)
    receipts = ReceiptService(conversations, updates, fanout)
    around = MessageSurroundings(conversations, receipts, society.mutes, society.media.library)
    messages = MessageService(around, fanout, batch=settings.streams.batch)
    society.media.audience.register("message", messages.shows_to)
    society.media.fsck.register(ShownMedia(), ShownPictures())
    return Talk(
        conversations=conversations,
        groups=GroupService(ground.database, conversations, policy, updates, society.mutes),
        receipts=receipts,
        messages=messages,
    )


def _services(ground: Ground, engines: Engines, society: Society, talk: Talk) -> Services:
    settings, local, timeouts = ground.settings, ground.local, ground.settings.timeouts
    accounts, policy, media, presence = society.accounts, society.policy, society.media, society.presence
    # A little longer than a command may take, so that the command is the one to answer.
    actors = Actors(mailbox=settings.limits.mailbox, deadline=timeouts.command + 1.0)
    commands, acquaintances, archive = CommandTable(), Acquaintances(policy), MessageArchive()
    streams = settings.streams
    return Services(
        settings=settings,
        node=ground.node,
        engines=engines,
        database=ground.database,
        redis=ground.redis,
        bus=ground.bus,
        health=Health(ground.database, ground.bus),
        local=local,
        fanout=ground.fanout,
        actors=actors,
        limits=RateLimits(settings, ground.redis),
        policy=policy,
        accounts=accounts,
        friends=society.friends,
        presence=presence,
        profiles=ProfileService(
            accounts, policy, society.friends, presence, Pictures(settings, media.library)
        ),
        personal=PersonalService(settings, _around_leaving(society, talk)),
        push=society.push,
        notifications=society.notifications,
        missed=MissedMessages(
            society.notifications, talk.receipts, accounts.people, society.presences, presence.is_connected
        ),
        updates=society.updates,
        conversations=talk.conversations,
        groups=talk.groups,
        receipts=talk.receipts,
        media=media,
        messages=talk.messages,
        moderation=_moderation(ground, society),
        search=SearchService(
            PeopleFinder(policy, acquaintances), MessageFinder(archive, talk.conversations, policy)
        ),
        indexer=Indexer(archive, MessageIndex()),
        suggestions=_suggestions(policy, acquaintances),
        sync=SyncService(
            talk.conversations,
            talk.messages,
            talk.receipts,
            society.updates,
            limits=SyncLimits(page=streams.page, gap=streams.gap, snapshot=streams.snapshot),
        ),
        commands=commands,
        gateway=Gateway(settings, accounts, commands, actors, local),
        upkeep=Upkeep(
            local,
            accounts,
            talk.groups,
            revocation_every=timeouts.revocation_sweep,
            sweep_every=timeouts.stream_sweep,
        ),
    )


def _around_leaving(society: Society, talk: Talk) -> Surroundings:
    """Whom somebody who leaves takes leave of."""
    return Surroundings(
        society.accounts,
        talk.groups,
        talk.conversations,
        society.notifications,
        society.updates,
        (society.media,),
    )


def _moderation(ground: Ground, society: Society) -> ModerationService:
    accounts, settings = society.accounts, ground.settings
    around = Neighbours(
        ground.database,
        accounts.audit,
        accounts.sessions,
        accounts.people,
        society.policy,
        ground.fanout,
        society.notifications,
    )
    return ModerationService(settings.moderation, AppealTokens(settings.secret()), society.mutes, around)


def _suggestions(policy: Policy, acquaintances: Acquaintances) -> SuggestionService:
    """With everything that gives reasons to know somebody."""
    alike = Kindred()
    sources = (FriendsInCommon(acquaintances), SharedInterests(alike), SameUniversity(alike))
    return SuggestionService(policy, acquaintances, alike, sources)
