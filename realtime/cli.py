"""The command line: `python -m realtime …`."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal, cast

import typer
from pydantic import BaseModel, SecretStr

from common import logs
from common.settings import Settings
from realtime import app, moderating, people, storing, terminal
from realtime.engines import join_engines, shared_engines
from realtime.stopping import first_of, stop_signals
from realtime.workers import serve_workers

WriteDocs = Callable[[Path], None]
"""Writes `openapi.json`, `asyncapi.json` and `policy.md` into a folder; given by `__main__`."""

NAME = "python -m realtime"
MOST_WORKERS = 64


Port = Annotated[int | None, typer.Option(help="Instead of PLAZA_PORT.")]
Host = Annotated[str | None, typer.Option(help="Instead of PLAZA_HOST.")]
Only = Annotated[Literal["realtime", "rest"] | None, typer.Option(help="One part only.")]
Count = Annotated[int, typer.Option("--workers", min=1, max=MOST_WORKERS, help="Processes behind the port.")]
Name = Annotated[str | None, typer.Option("--name", help="Instead of PLAZA_NODE_NAME.")]
Join = Annotated[bool, typer.Option("--join", help="Use the engines that `engines` runs.")]
Folder = Annotated[Path, typer.Argument(help="Where to write to.")]


def build_cli(add_rest: app.AddRest, write_docs: WriteDocs) -> typer.Typer:
    """All commands; what is above the core comes as arguments."""

    def serve(  # noqa: PLR0913, PLR0917  (options of a command)
        port: Port = None,
        host: Host = None,
        only: Only = None,
        workers: Count = 1,
        name: Name = None,
        join: Join = False,
    ) -> None:
        """Serve sockets and REST until told to stop."""
        given = {"port": port, "host": host, "node_name": name}
        settings = terminal.settings(**{key: value for key, value in given.items() if value is not None})
        logs.set_up(settings.log_level, settings.log_format)

        async def main() -> None:
            chosen = await join_engines(settings) if join else settings
            if workers > 1:
                await serve_workers(chosen, workers, only, _announce)
            else:
                await app.serve(chosen, add_rest, _announce, only)

        with terminal.trouble_in_one_line():
            app.run(main())

    def docs(folder: Folder = Path("docs")) -> None:
        """Write openapi.json, asyncapi.json and policy.md."""
        write_docs(folder)

    cli = typer.Typer(name=NAME, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    for command in (serve, engines, migrate, check, docs):
        cli.command()(command)
    cli.add_typer(_group({"create": people.create_admin}, "Administrators."), name="admin")
    users: dict[str, Callable[..., None]] = {
        "list": people.list_users,
        "approve": people.approve,
        "reject": people.reject,
        "recompute": people.recompute,
        "delete": people.delete,
        "restore": people.restore,
        "ban": moderating.ban,
        "unban": moderating.unban,
    }
    cli.add_typer(_group(users, "Accounts."), name="users")
    cli.add_typer(_group({"verify": moderating.verify_audit}, "What administrators did."), name="audit")
    files = {"fsck": storing.fsck, "migrate": storing.migrate}
    cli.add_typer(_group(files, "Files of uploads."), name="media")
    return cli


def _group(commands: dict[str, Callable[..., None]], about: str) -> typer.Typer:
    """Commands under one word, also when it is only one."""
    group = typer.Typer(no_args_is_help=True, help=about)
    group.callback()(lambda: None)
    for name, command in commands.items():
        group.command(name)(command)
    return group


# -- serving


def _announce(settings: Settings, port: int) -> None:
    name = "localhost" if settings.host in {"127.0.0.1", "0.0.0.0", "::", "::1"} else settings.host
    address = f"http://{name}:{port}"
    typer.echo(f"Plaza serves on {address} ({settings.environment})")
    typer.echo(f"  REST API:        {address}/docs")
    typer.echo(f"  Socket.IO API:   {address}/docs/realtime")
    typer.echo(f"  first admin:     {NAME} admin create --username NAME")


# -- engines and the database


def engines() -> None:
    """Run the engines that the settings do not name, for processes that are started with `serve --join`."""
    settings = terminal.settings()
    logs.set_up(settings.log_level, settings.log_format)
    with terminal.trouble_in_one_line():
        asyncio.run(_run_engines(settings))


async def _run_engines(settings: Settings) -> None:
    stopping = stop_signals()
    async with shared_engines(settings) as (running, _):
        if settings.mongo_url is not None and settings.redis_url is not None:
            typer.echo("Nothing to run: the settings name every engine.")
            return
        typer.echo(f"Engines run in {settings.data_dir}")

        async def failed() -> str:
            raise await running.failed()

        await first_of(stopping, failed())


def migrate() -> None:
    """Make the database what this version needs: its missing indexes."""
    settings = terminal.settings()
    logs.set_up("warning", "console")
    with terminal.trouble_in_one_line():
        asyncio.run(terminal.migrate(settings))
    typer.echo("The database is as this version needs it.")


# -- settings


def check() -> None:
    """Validate the settings and print them, without secrets."""
    for line in _lines_of(terminal.settings(), "PLAZA"):
        typer.echo(line)


def _lines_of(group: BaseModel, prefix: str) -> Iterator[str]:
    joint = "_" if prefix == "PLAZA" else "__"
    for name in type(group).model_fields:
        value, full = getattr(group, name), f"{prefix}{joint}{name.upper()}"
        if isinstance(value, BaseModel):
            yield from _lines_of(value, full)
        else:
            yield f"{full}={_shown(value)}"


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "***"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in cast("tuple[object, ...]", value))
    return str(value)
