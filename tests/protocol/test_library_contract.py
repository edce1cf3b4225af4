"""What we use of aiohttp, python-engineio and python-socketio below their faces: it is there, and no more is.

A new version that moves any of it fails here, by name, before it fails somewhere else without one.
"""

import ast
import importlib
import inspect
import textwrap
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import engineio
import pytest
import socketio
from aiohttp import web
from engineio import base_socket
from packaging.requirements import Requirement
from packaging.version import Version

from realtime.gateway.transport import EngineSocket

ROOT = Path(__file__).parent.parent.parent
OURS = ("common", "documents", "realtime", "rest")
LIBRARIES = ("aiohttp", "engineio", "socketio")

PRIVATE_PARTS: dict[str, dict[type, set[str]]] = {
    "realtime.gateway.transport.servers": {
        engineio.AsyncServer: {"_async", "_handle_connect", "_make_response", "_ok", "_upgrades"},
        socketio.AsyncServer: {"_engineio_server_class"},
        web.RequestHandler: {"_message_tail"},
    },
    "realtime.gateway.http": {
        web.RequestHandler: {"_current_request", "_request_count"},
        web.AppRunner: {"_make_server"},
        web.Server: {"_kwargs", "_loop"},
    },
    "realtime.gateway.handover": {web.RequestHandler: {"_message_tail", "_messages"}},
}
"""Module or package by name: every private attribute of theirs, and the class on which it is looked for."""


@cache
def sources() -> dict[str, ast.Module]:
    """Our modules by name."""
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            file.read_text()
        )
        for package in OURS
        for file in sorted((ROOT / package).rglob("*.py"))
    }


def members(listed: str) -> dict[str, ast.Module]:
    """The modules of a line of the table."""
    return {name: tree for name, tree in sources().items() if name == listed or name.startswith(listed + ".")}


def others() -> dict[str, ast.Module]:
    """The modules that the table does not name."""
    listed = {name for line in PRIVATE_PARTS for name in members(line)}
    return {name: tree for name, tree in sources().items() if name not in listed}


def is_private(name: str) -> bool:
    """`_like_this`; neither `__this__` nor `_this_`, which are what libraries document."""
    return name.startswith("_") and not name.startswith("__") and not name.endswith("_")


def touched(tree: ast.AST) -> set[str]:
    """The private names that are read from, or written to, anything at all."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_private(node.attr)}


def made(tree: ast.AST) -> set[str]:
    """The names that a class or module gives itself: methods, fields, slots, and what it sets on `self`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                names.add(name)
            case ast.Constant(value=str(name)):
                names.add(name)
            case _:
                pass
    return names


@cache
def attributes_of(kind: type) -> frozenset[str]:
    """Everything an instance has: what the classes hold, and what their code sets on `self`."""
    names = set(dir(kind))
    for base in kind.__mro__:
        if base.__module__.split(".")[0] in LIBRARIES:
            names |= made(
                ast.parse(inspect.cleandoc("class X:\n  pass") if base is object else _source(base))
            )
    return frozenset(names)


def _source(kind: type) -> str:
    return inspect.getsource(kind)


def of_libraries(module: ModuleType) -> Iterator[tuple[type, type]]:
    """Our classes in a module that extend one of theirs, each with its nearest base of theirs."""
    for kind in vars(module).values():
        if inspect.isclass(kind) and kind.__module__ == module.__name__:
            for base in kind.__mro__:
                if base.__module__.split(".")[0] in LIBRARIES:
                    yield kind, base
                    break


def leaned_on(listed: str) -> set[str]:
    """The private names that modules use and did not make, or made where a class of theirs had them."""
    inherited = {
        attribute
        for name in members(listed)
        for _, base in of_libraries(importlib.import_module(name))
        for attribute in attributes_of(base)
        if is_private(attribute)
    }
    used = set[str]().union(*map(touched, members(listed).values()))
    defined = set[str]().union(*map(made, members(listed).values()))
    return (used - defined) | ((used | defined) & inherited)


@pytest.mark.parametrize("listed", PRIVATE_PARTS)
def test_every_private_part_that_a_module_uses_is_listed(listed: str) -> None:
    assert leaned_on(listed) == set[str]().union(*PRIVATE_PARTS[listed].values())


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [
        pytest.param(kind, attribute, id=f"{name.rpartition('.')[2]}-{kind.__name__}-{attribute}")
        for name, parts in PRIVATE_PARTS.items()
        for kind, attributes in parts.items()
        for attribute in sorted(attributes)
    ],
)
def test_the_installed_libraries_have_every_listed_part(kind: type, attribute: str) -> None:
    assert attribute in attributes_of(kind)


def test_no_other_module_touches_what_is_not_its_own() -> None:
    strays = {
        name: sorted(foreign) for name, tree in others().items() if (foreign := touched(tree) - made(tree))
    }
    assert strays == {}


def test_no_other_module_changes_a_library_class_from_within() -> None:
    strays: list[str] = []
    for name, tree in others().items():
        if not _imports_a_library(tree):
            continue
        for kind, base in of_libraries(importlib.import_module(name)):
            hidden = {one for one in vars(kind) if is_private(one) and one in attributes_of(base)}
            strays += [f"{name}.{kind.__name__}.{one}" for one in sorted(hidden - {"_abc_impl"})]
    assert strays == []


def _imports_a_library(tree: ast.Module) -> bool:
    return any(
        (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES)
        or (isinstance(node, ast.Import) and any(one.name.split(".")[0] in LIBRARIES for one in node.names))
        for node in ast.walk(tree)
    )


def overrides() -> Iterator[tuple[type, type, str]]:
    for name in [name for listed in PRIVATE_PARTS for name in members(listed)]:
        for kind, base in of_libraries(importlib.import_module(name)):
            for method in vars(kind):
                if inspect.isfunction(vars(kind)[method]) and hasattr(base, method) and method != "__init__":
                    yield kind, base, method


@pytest.mark.parametrize(
    ("kind", "base", "method"),
    [pytest.param(*one, id=f"{one[0].__name__}.{one[2]}") for one in overrides()],
)
def test_what_we_override_is_still_called_the_way_it_was(kind: type, base: type, method: str) -> None:
    ours, theirs = getattr(kind, method), getattr(base, method)
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


def test_a_socket_has_all_that_the_library_gives_its_own() -> None:
    """`EngineSocket` does not call the constructor above it, most of which would cost memory for nothing."""
    constructor = ast.parse(textwrap.dedent(inspect.getsource(base_socket.BaseSocket.__init__)))
    born_with = {
        node.attr
        for node in ast.walk(constructor)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    assert {one for one in born_with if not hasattr(EngineSocket, one)} == {"server", "sid"}


@pytest.mark.parametrize("library", ["aiohttp", "python-engineio", "python-socketio"])
def test_a_library_that_we_lean_on_is_pinned_to_its_minor_version(library: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = {one.name: one for one in map(Requirement, project["dependencies"])}[library]
    here = Version(version(library))
    assert here in required.specifier
    assert Version(f"{here.major}.{here.minor + 1}") not in required.specifier
    assert Version(f"{here.major + 1}.0") not in required.specifier
    for lock in ("runtime", "dev"):
        assert f"\n{library}=={here} " in "\n" + (ROOT / "requirements" / f"{lock}.txt").read_text()
