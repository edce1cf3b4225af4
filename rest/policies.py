"""`docs/policy.md`: who may see and do what, and which verb each route, event and publication asks for."""

from collections.abc import Iterable, Sequence
from string import Template

from aiohttp import web

from realtime.channels import Publication
from realtime.policy import Verb
from realtime.policy.table import APPROACHES, TABLE, Grant, Relation
from realtime.policy.words import Word
from rest.asyncapi import Command
from rest.operations import operation_of
from rest.render import template

Asked = tuple[list[str], list[str], list[str]]
"""The routes, the events and the publications that ask for a verb."""


def render_policy(routes: Iterable[web.RouteDef], commands: Iterable[Command]) -> str:
    """The whole page."""
    general = [verb for verb in Verb if verb not in TABLE]
    asked = _asked_by(routes, commands)
    return Template(template("policy.md")).substitute(
        table=_table(
            ["", *(f"`{one}`" for one in Relation)],
            ([f"`{verb}`", *map(str, row.values())] for verb, row in TABLE.items()),
        ),
        verbs=_meanings(TABLE),
        relations=_meanings(Relation),
        grants=_meanings(Grant),
        general=_meanings(general),
        approaches=", ".join(f"`{verb}`" for verb in sorted(APPROACHES)),
        needs=_table(
            ["Verb", "Routes", "Events", "Publications"],
            ([f"`{verb}`", *map(_cell, asked[verb])] for verb in [*general, *TABLE] if any(asked[verb])),
        ),
    )


def _asked_by(routes: Iterable[web.RouteDef], commands: Iterable[Command]) -> dict[Verb, Asked]:
    asked: dict[Verb, Asked] = {verb: ([], [], []) for verb in Verb}
    for route in routes:
        operation = operation_of(route.handler)
        if operation is not None:
            asked[operation.verb][0].append(f"{route.method} {route.path}")
    for command in commands:
        asked[command.verb][1].append(command.name)
    for said in Publication.registry.values():
        asked[said.verb][2].append(said.event)
    return asked


def _cell(names: Sequence[str]) -> str:
    return "<br>".join(f"`{name}`" for name in sorted(names))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _meanings(words: Iterable[Word]) -> str:
    return "\n".join(f"- `{word}`: {word.about}" for word in words)
