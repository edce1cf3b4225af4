"""What is known only when all parts exist, and in which order they start and stop."""

from collections.abc import Callable, Sequence
from functools import partial

from realtime.bootstrap.services import Services
from realtime.features.accounts.commands import AccountCommands
from realtime.features.messages.actor import ConversationActor
from realtime.features.messages.commands import MessageCommands
from realtime.features.messages.schemas import MessageOut
from realtime.features.messages.store import Excerpts
from realtime.features.moderation.commands import ModeratorSockets
from realtime.features.notifications.commands import NotificationCommands
from realtime.features.presence.commands import PresenceCommands
from realtime.features.push.commands import PushCommands
from realtime.features.sync.commands import SyncCommands
from realtime.gateway.ping import PingCommands
from realtime.listening import Listening

STOP_SECONDS = 3.0
ROLES_EVERY = 1.0
UNTOLD_EVERY = 5.0
STORAGES_EVERY = 3600.0


def wire(services: Services) -> None:
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
    s.gateway.intake.wait = partial(s.limits.wait, "user")
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


async def start(services: Services) -> None:
    wire(services)
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


async def stop(services: Services) -> None:
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
