"""What configuration may name because the code has it: commands, settings, paths, figures."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from aiohttp import web
from prometheus_client import REGISTRY
from pydantic import BaseModel

from common.settings import Settings
from realtime.__main__ import write_docs
from realtime.cli import build_cli
from rest.app import add_rest, all_routes

Values = dict[str, Any]


def understood(arguments: Sequence[str]) -> tuple[str, Values]:
    """The command and its values that the command line sees in `arguments`; raises what it complains of."""
    root = typer.main.get_command(build_cli(add_rest, write_docs))
    name, *rest = arguments
    command = root.commands[name]  # pyright: ignore[reportAttributeAccessIssue]
    context = command.make_context(name, list(rest))
    return name, context.params


def of_module(line: str | Sequence[str]) -> list[str]:
    """The arguments of `… -m realtime …`."""
    words = shlex.split(line) if isinstance(line, str) else list(line)
    start = words.index("-m")
    assert words[start + 1] == "realtime"
    return words[start + 2 :]


def variables(group: type[BaseModel] = Settings, prefix: str = "PLAZA_") -> set[str]:
    """The names of all settings in the environment."""
    found: set[str] = set()
    for name, field in group.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= variables(kind, f"{prefix}{name.upper()}__")
        else:
            found.add(f"{prefix}{name.upper()}")
    return found


def settings_of(environment: Mapping[str, str]) -> Settings:
    """What a process with nothing else in its environment would read."""
    strangers = set(environment) - variables()
    assert not strangers, f"no setting is called {strangers}"
    given: Values = {}
    for name, value in environment.items():
        *groups, last = name.removeprefix("PLAZA_").lower().split("__")
        place = given
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return Settings(**{"_env_file": None, **given})


def paths() -> set[str]:
    """Every path that is served, sockets among them."""
    return {route.path for route in all_routes() if isinstance(route, web.RouteDef)} | {"/socket.io"}


def figures() -> set[str]:
    """The names under which figures of ours are exported."""
    return {metric.name for metric in REGISTRY.collect() if metric.name.startswith("plaza_")}
