"""The AsyncAPI document and its page: every command and publication, and nothing that is not there."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from common.errors import all_codes
from realtime.channels import Publication
from rest.asyncapi import channel_of
from tests.clients import Http
from tests.conftest import Node

REFERENCE = {
    "type": "object",
    "required": ["$ref"],
    "additionalProperties": False,
    "properties": {"$ref": {"type": "string", "pattern": "^#/"}},
}
REFERENCES = {"type": "object", "additionalProperties": REFERENCE}
SHAPE: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["asyncapi", "info", "channels", "operations", "components"],
    "additionalProperties": False,
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "defaultContentType": {"type": "string"},
        "info": {"type": "object", "required": ["title", "version"]},
        "servers": {
            "type": "object",
            "additionalProperties": {"type": "object", "required": ["host", "protocol"]},
        },
        "channels": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["address", "messages"],
                "properties": {"address": {"type": ["string", "null"]}, "messages": REFERENCES},
            },
        },
        "operations": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["action", "channel", "messages"],
                "properties": {
                    "action": {"enum": ["send", "receive"]},
                    "channel": REFERENCE,
                    "messages": {"type": "array", "items": REFERENCE, "minItems": 1},
                    "reply": {
                        "type": "object",
                        "properties": {"channel": REFERENCE, "messages": {"items": REFERENCE}},
                    },
                },
            },
        },
        "components": {
            "type": "object",
            "required": ["messages", "schemas"],
            "properties": {
                "messages": {
                    "type": "object",
                    "additionalProperties": {"type": "object", "required": ["name", "payload"]},
                },
                "schemas": {"type": "object"},
            },
        },
    },
}
"""As much of AsyncAPI 3.0 as we use."""


@pytest.fixture
async def http(plaza: Node) -> AsyncIterator[Http]:
    async with Http(plaza.url) as client:
        yield client


@pytest.fixture
async def document(http: Http) -> Any:
    return (await http.get("/docs/asyncapi.json")).body


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _follow(document: Any, reference: str) -> Any:
    found = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


async def test_the_document_has_the_shape_of_asyncapi(document: Any) -> None:
    jsonschema.validate(document, SHAPE)
    for reference in _references(document):
        assert _follow(document, reference) is not None


async def test_its_schemas_are_schemas(document: Any) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for message in document["components"]["messages"].values():
        jsonschema.Draft202012Validator.check_schema(message["payload"])


def test_every_command_says_what_it_does_takes_and_gives(plaza: Node) -> None:
    commands = list(plaza.services.commands)
    assert commands

    for command in commands:
        assert command.description, command.name
        assert issubclass(command.body, BaseModel)
        assert command.result is not None, f"{command.name} answers with nothing"


@pytest.mark.parametrize("said", Publication.registry.values(), ids=Publication.registry.keys())
def test_every_publication_says_what_happened(said: type[Publication]) -> None:
    assert said.__doc__, f"{said.__name__} has no docstring"
    assert said.__doc__ != Publication.__doc__
    assert not (said.ephemeral and said.logged)


async def test_every_command_is_an_operation_with_one_acknowledgement(plaza: Node, document: Any) -> None:
    for command in plaza.services.commands:
        operation = document["operations"][command.name]
        assert operation["action"] == "receive"
        assert len(operation["reply"]["messages"]) == 1
        acknowledgement = _follow(
            document, _follow(document, operation["reply"]["messages"][0]["$ref"])["$ref"]
        )
        assert len(acknowledgement["payload"]["oneOf"]) == 2


async def test_every_publication_is_on_its_channel(document: Any) -> None:
    for event, said in Publication.registry.items():
        operation = document["operations"][f"say.{event}"]
        assert operation["channel"]["$ref"] == f"#/channels/{channel_of(said)}"
        message = document["components"]["messages"][event]
        assert (message["x-ephemeral"], message["x-logged"]) == (said.ephemeral, said.logged)


async def test_logged_publications_carry_their_position(document: Any) -> None:
    payload = document["components"]["messages"]["conversation_updated"]["payload"]

    assert payload["allOf"][1]["required"] == ["pos"]


async def test_the_page_shows_everything(plaza: Node, http: Http, document: Any) -> None:
    page = (await http.get("/docs/realtime")).body

    for command in plaza.services.commands:
        assert f'id="commands-{command.name}"' in page
    for event in Publication.registry:
        assert f'id="publications-{event}"' in page
    for code in all_codes():
        assert f'id="error-{code}"' in page
    for link in {part.partition('"')[0] for part in page.split('href="#')[1:]}:
        assert f'id="{link}"' in page, f"nothing has the id {link}"
