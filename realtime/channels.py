"""Channels and publications: where things are said, and what the server may say."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from common.ids import Id
from realtime.policy.verbs import Verb

MODERATORS = "moderators:all"
"""All connections of those who look after reports."""


def user(user_id: Id) -> str:
    """All connections of one person; also the name of that person's update log."""
    return f"user:{user_id}"


def conversation(conversation_id: Id) -> str:
    """All connections of a conversation's members; also the name of its message stream."""
    return f"conversation:{conversation_id}"


def session(session_id: Id) -> str:
    """All connections of one log-in."""
    return f"session:{session_id}"


def kind(channel: str) -> str:
    """What the channel belongs to: `user`, `conversation` and so on."""
    return channel.partition(":")[0]


def key(channel: str) -> Id:
    """The id behind the channel's kind."""
    return channel.partition(":")[2]


class Wire(BaseModel):
    """A shape on the wire: camelCase, nothing unknown, no surprises."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        ser_json_inf_nan="null",
    )


class Publication(Wire):
    """Something the server says on a channel. Subclasses name their `event` and are documented from here.

    `verb` is what whoever hears it must be allowed: about the person it speaks of, if it is about a person.
    `ephemeral` ones may be dropped for a slow reader and are not stored. `logged` ones are entries of a
    person's update log and carry their `pos`.
    """

    event: ClassVar[str] = ""
    ephemeral: ClassVar[bool] = False
    logged: ClassVar[bool] = False
    verb: ClassVar[Verb] = Verb.OWN
    registry: ClassVar[dict[str, type["Publication"]]] = {}

    def __init_subclass__(
        cls, event: str = "", verb: Verb | None = None, ephemeral: bool = False, logged: bool = False
    ) -> None:
        super().__init_subclass__()
        cls.event, cls.ephemeral, cls.logged = event, ephemeral, logged
        if not event:
            return
        if verb is None:
            raise TypeError(f"publication {event} names no verb")
        cls.verb = verb
        if event in cls.registry:
            raise TypeError(f"publication {event} is defined twice")
        cls.registry[event] = cls
