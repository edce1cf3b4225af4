"""The page of `/docs/realtime`: plain HTML, made here, readable without scripts."""

import re
from collections.abc import Iterable
from html import escape
from importlib import resources
from string import Template
from typing import Any, cast

import orjson

from common.errors import AppError
from common.ids import UUID_PATTERN
from realtime.channels import Publication
from rest.asyncapi import ABOUT, CHANNELS, Command, Protocols, channel_of, payload_of
from rest.problems import ERROR_SCHEMAS, codes
from rest.schemas import Json

ANYWHERE = (
    "invalid_payload", "unknown_field", "too_deep", "token_expired", "not_found", "forbidden",
    "rate_limited", "overloaded", "timeout", "internal",
)  # fmt: skip
"""Codes with which any command may be refused."""
_BOUNDS = {
    "minLength": "length ≥ {}",
    "maxLength": "length ≤ {}",
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "minItems": "items ≥ {}",
    "maxItems": "items ≤ {}",
}
_CODE, _MARKED = re.compile("`([^`]+)`"), r"<code>\1</code>"
_FORMATS = {"date-time": "time", "uuid": "UUID", "email": "e-mail address", "uri": "address"}


def template(name: str) -> str:
    """A file of `rest/templates`."""
    return resources.files("rest").joinpath("templates", name).read_text("utf-8")


def render_realtime(protocols: Protocols, version: str, url: str) -> str:
    """The whole page."""
    shapes = {**protocols.schemas.definitions, **ERROR_SCHEMAS}
    named = {name: schema for name, schema in sorted(shapes.items()) if name not in _said_above(protocols)}
    return Template(template("realtime.html")).substitute(
        version=escape(version),
        url=escape(url),
        about=prose(ABOUT),
        contents=_contents(protocols, named),
        commands="".join(_command(command, protocols) for command in protocols.commands),
        publications="".join(_publication(said, protocols) for said in protocols.publications),
        shapes="".join(_shape(name, schema) for name, schema in named.items()),
        errors=_errors(codes()),
    )


def prose(text: str) -> str:
    """Paragraphs, with `code` where the text has backticks."""
    paragraphs = (escape(part.strip()) for part in text.strip().split("\n\n"))
    return "".join(f"<p>{_CODE.sub(_MARKED, part)}</p>" for part in paragraphs if part)


# -- sections


def _said_above(protocols: Protocols) -> set[str]:
    """Shapes that are shown in full where they are said, and named nowhere else."""
    return {said.__name__ for said in protocols.publications}


def _contents(protocols: Protocols, shapes: dict[str, Json]) -> str:
    lists = (
        ("commands", "What clients say", [command.name for command in protocols.commands]),
        ("publications", "What the server says", [said.event for said in protocols.publications]),
        ("shapes", "Shapes", list(shapes)),
    )
    parts = [
        f'<b><a href="#{anchor}">{title}</a></b><ul>{"".join(_entry(anchor, name) for name in names)}</ul>'
        for anchor, title, names in lists
    ]
    return "".join(parts) + '<b><a href="#errors">Error codes</a></b>'


def _entry(kind: str, name: str) -> str:
    return f'<li><a href="#{kind}-{escape(name)}">{escape(name)}</a></li>'


def _command(command: Command, protocols: Protocols) -> str:
    schemas = protocols.schemas
    payload = schemas.resolved(schemas.input(command.body))
    answer = '<p class="quiet">Nothing.</p>'
    if command.result is not None:
        answer = f"<p>{_type(schemas.output(command.result))}</p>"
    return (
        f'<section id="commands-{escape(command.name)}"><h3>{escape(command.name)}</h3>'
        f"{prose(command.description)}"
        f"<h4>Payload</h4>{_fields(payload)}<h4>Answer</h4>{answer}"
        "<h4>Errors of this feature and of every command</h4>"
        f"<p>{_code_links(_codes_of(command))}</p></section>"
    )


def _publication(said: type[Publication], protocols: Protocols) -> str:
    kind = channel_of(said)
    tags = [f'<span class="tag">{escape(CHANNELS[kind][0])}</span>']
    if said.logged:
        tags.append('<span class="tag logged">logged: sync repeats it</span>')
    if said.ephemeral:
        tags.append('<span class="tag ephemeral">ephemeral: may be dropped</span>')
    payload = _merged(payload_of(said, protocols.schemas), protocols)
    return (
        f'<section id="publications-{escape(said.event)}"><h3>{escape(said.event)}{"".join(tags)}</h3>'
        f"{prose(said.__doc__ or '')}<h4>Payload</h4>{_fields(payload)}</section>"
    )


def _merged(schema: Json, protocols: Protocols) -> Json:
    """One object of what several say together."""
    parts = [protocols.schemas.resolved(part) for part in schema.get("allOf", [schema])]
    properties = {name: field for part in parts for name, field in part.get("properties", {}).items()}
    return {
        "properties": properties,
        "required": [name for part in parts for name in part.get("required", [])],
    }


def _shape(name: str, schema: Json) -> str:
    shown = _fields(schema) if "properties" in schema else f"<p>{_type(schema)}</p>"
    about = prose(str(schema.get("description", "")))
    return f'<section id="shapes-{escape(name)}"><h3>{escape(name)}</h3>{about}{shown}</section>'


def _errors(known: Iterable[tuple[str, type[AppError]]]) -> str:
    rows = "".join(
        f'<tr id="error-{code}"><td><code>{code}</code></td><td>{kind.status}</td>'
        f"<td>{'yes' if kind.retryable else 'no'}</td><td>{escape(kind.text)}</td></tr>"
        for code, kind in known
    )
    head = "<tr><th>Code</th><th>Status</th><th>Retry</th><th>Text</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _codes_of(command: Command) -> list[str]:
    """What any command may be refused with, and the codes of the command's own feature."""
    feature = str(getattr(command.handler, "__module__", "")).rpartition(".")[0] + "."
    own = [code for code, kind in codes() if f"{kind.__module__}.".startswith(feature)]
    return [*own, *ANYWHERE]


def _code_links(names: Iterable[str]) -> str:
    return " ".join(f'<a href="#error-{name}"><code>{name}</code></a>' for name in names)


# -- fields


def _fields(schema: Json) -> str:
    """A table of an object's fields."""
    properties = cast("dict[str, Json]", schema.get("properties", {}))
    if not properties:
        return '<p class="quiet">No fields.</p>'
    required = schema.get("required", [])
    rows = "".join(_row(name, field, name in required) for name, field in properties.items())
    return f"<table><thead><tr><th>Field</th><th>Type</th><th></th></tr></thead><tbody>{rows}</tbody></table>"


def _row(name: str, field: Json, required: bool) -> str:
    about = prose(str(field.get("description", "")))
    presence = "" if required else '<span class="quiet">optional</span>'
    return f"<tr><td><code>{escape(name)}</code></td><td>{_type(field)}{about}</td><td>{presence}</td></tr>"


def _type(schema: Json) -> str:
    """A type in words; shapes are links."""
    if "$ref" in schema:
        name = escape(str(schema["$ref"]).rpartition("/")[2])
        return f'<a href="#shapes-{name}">{name}</a>'
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    if "const" in schema or "enum" in schema:
        values: list[Any] = schema.get("enum", [schema.get("const")])
        return " or ".join(f"<code>{escape(orjson.dumps(value).decode())}</code>" for value in values)
    bounds = [text.format(schema[name]) for name, text in _BOUNDS.items() if name in schema]
    return ", ".join([_plain_type(schema), *bounds])


def _plain_type(schema: Json) -> str:
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object":
        values: object = schema.get("additionalProperties")
        return f"map to {_type(cast('Json', values))}" if isinstance(values, dict) else "object"
    if schema.get("pattern") == UUID_PATTERN:
        return "UUID"
    return _FORMATS.get(str(schema.get("format")), str(kind or "anything"))
