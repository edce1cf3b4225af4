"""The AsyncAPI 3.0 document, made from the command table and the publications."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel

from realtime.channels import Publication
from realtime.policy import Verb
from rest.problems import ERROR_SCHEMAS
from rest.schemas import Json, Schemas

ABOUT = """Socket.IO (protocol 5, Engine.IO 4) at `/socket.io/`, in the default namespace.

Connect with `auth: {token}`, the access token of the REST API. Every event a client sends is answered by
exactly one acknowledgement: `{"ok": true, "data": …}` or `{"ok": false, "error": {…}}`; without an
acknowledgement id a refusal arrives as the event `error`. Events of one socket are handled in the order in
which they were sent."""

CHANNELS = {
    "user": ("user:{userId}", "All sockets of one person."),
    "conversation": ("conversation:{conversationId}", "All sockets of a conversation's members."),
    "socket": ("/", "One socket."),
}
"""Where publications are said. Clients do not subscribe: the server knows who belongs where."""


class Command(Protocol):
    """A client event, as the gateway's table has it."""

    @property
    def name(self) -> str: ...
    @property
    def body(self) -> type[BaseModel]: ...
    @property
    def result(self) -> type[BaseModel] | None: ...
    @property
    def description(self) -> str: ...
    @property
    def handler(self) -> Callable[..., Any]: ...
    @property
    def verb(self) -> Verb: ...


@dataclass(frozen=True, slots=True)
class Protocols:
    """Everything that can be said over the socket, in both directions, and its schemas."""

    commands: list[Command]
    publications: list[type[Publication]]
    schemas: Schemas

    @classmethod
    def of(cls, commands: Iterable[Command]) -> "Protocols":
        """What these commands and all known publications come to."""
        ordered = sorted(commands, key=lambda command: command.name)
        said = sorted(Publication.registry.values(), key=lambda kind: kind.event)
        inputs = [command.body for command in ordered]
        outputs = [*(command.result for command in ordered), *said]
        return cls(ordered, said, Schemas(inputs, outputs))


def channel_of(publication: type[Publication]) -> str:
    """On which kind of channel it is said: log entries to their person, others by what they name."""
    if publication.logged:
        return "user"
    if "conversation_id" in publication.model_fields:
        return "conversation"
    return "user" if "user_id" in publication.model_fields else "socket"


def build_asyncapi(protocols: Protocols, version: str, url: str) -> Json:
    """The document."""
    messages: Json = {}
    channels = _channels(protocols)
    for command in protocols.commands:
        messages[command.name] = _command_message(command, protocols.schemas)
        messages[f"{command.name}.ack"] = _ack_message(command, protocols.schemas)
    for publication in protocols.publications:
        messages[publication.event] = _publication_message(publication, protocols.schemas)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Plaza realtime", "version": version, "description": ABOUT},
        "defaultContentType": "application/json",
        "servers": {"plaza": _server(url)},
        "channels": channels,
        "operations": _operations(protocols),
        "components": {
            "messages": messages,
            "schemas": {**protocols.schemas.definitions, **ERROR_SCHEMAS},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _server(url: str) -> Json:
    parts = urlsplit(url)
    return {
        "host": parts.netloc,
        "pathname": "/socket.io/",
        "protocol": "wss" if parts.scheme == "https" else "ws",
        "security": [{"$ref": "#/components/securitySchemes/token"}],
    }


# -- channels


def _channels(protocols: Protocols) -> Json:
    names = [command.name for command in protocols.commands]
    channels: Json = {
        "commands": {
            "address": "/",
            "description": "What clients may say.",
            "messages": {name: _message_ref(name) for name in names},
        },
        "acks": {
            "address": None,
            "description": "The one acknowledgement of each event.",
            "messages": {f"{name}.ack": _message_ref(f"{name}.ack") for name in names},
        },
    }
    for kind, (address, about) in CHANNELS.items():
        events = [said.event for said in protocols.publications if channel_of(said) == kind]
        channels[kind] = {
            "address": address,
            "description": about,
            "messages": {event: _message_ref(event) for event in events},
        }
        if "{" in address:
            parameter = address.partition("{")[2].rstrip("}")
            channels[kind]["parameters"] = {parameter: {"description": "A UUID."}}
    return channels


def _message_ref(name: str) -> Json:
    return {"$ref": f"#/components/messages/{name}"}


# -- operations


def _operations(protocols: Protocols) -> Json:
    operations: Json = {}
    for command in protocols.commands:
        operations[command.name] = {
            "action": "receive",
            "summary": _first_line(command.description),
            "channel": {"$ref": "#/channels/commands"},
            "messages": [{"$ref": f"#/channels/commands/messages/{command.name}"}],
            "x-policy": command.verb,
            "reply": {
                "channel": {"$ref": "#/channels/acks"},
                "messages": [{"$ref": f"#/channels/acks/messages/{command.name}.ack"}],
            },
        }
    for said in protocols.publications:
        kind = channel_of(said)
        operations[f"say.{said.event}"] = {
            "action": "send",
            "summary": _first_line(said.__doc__ or ""),
            "channel": {"$ref": f"#/channels/{kind}"},
            "messages": [{"$ref": f"#/channels/{kind}/messages/{said.event}"}],
            "x-policy": said.verb,
        }
    return operations


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


# -- messages


def _command_message(command: Command, schemas: Schemas) -> Json:
    return {
        "name": command.name,
        "title": command.name,
        "description": command.description,
        "payload": schemas.input(command.body),
    }


def _ack_message(command: Command, schemas: Schemas) -> Json:
    data = schemas.output(command.result) if command.result is not None else {"type": "object"}
    done: Json = {
        "type": "object",
        "required": ["ok", "data"],
        "properties": {"ok": {"const": True}, "data": data},
    }
    refused: Json = {
        "type": "object",
        "required": ["ok", "error"],
        "properties": {"ok": {"const": False}, "error": {"$ref": "#/components/schemas/Error"}},
    }
    return {"name": f"{command.name}.ack", "payload": {"oneOf": [done, refused]}}


def _publication_message(said: type[Publication], schemas: Schemas) -> Json:
    message: Json = {
        "name": said.event,
        "title": said.event,
        "description": (said.__doc__ or "").strip(),
        "payload": payload_of(said, schemas),
        "x-ephemeral": said.ephemeral,
        "x-logged": said.logged,
    }
    return message


def payload_of(said: type[Publication], schemas: Schemas) -> Json:
    """What arrives: entries of a person's update log also say their position."""
    payload = schemas.output(said)
    if not said.logged:
        return payload
    position: Json = {
        "type": "object",
        "required": ["pos"],
        "properties": {"pos": {"type": "integer", "description": "Its position in the person's update log."}},
    }
    return {"allOf": [payload, position]}
