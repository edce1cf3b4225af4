"""The command line: `python -m realtime …`."""

import asyncio
import secrets
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, cast

import typer
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import SettingsError

from common import logs
from common.engines import EngineError, EngineInUse, Engines
from common.errors import AppError, Invalid, as_app_error
from common.ids import is_id
from common.settings import Settings
from realtime import app
from realtime.bootstrap import Services, open_services
from realtime.features.accounts.schemas.admin import AdminIn, AdminUserOut
from realtime.features.accounts.schemas.common import Window

WriteDocs = Callable[[Path], None]
"""Writes `openapi.json` and `asyncapi.json` into a folder; given by `__main__`."""

NAME = "python -m realtime"
PAGE = 100


Port = Annotated[int | None, typer.Option(help="Instead of PLAZA_PORT.")]
Host = Annotated[str | None, typer.Option(help="Instead of PLAZA_HOST.")]
Only = Annotated[Literal["realtime", "rest"] | None, typer.Option(help="One part only.")]
Folder = Annotated[Path, typer.Argument(help="Where to write to.")]
Username = Annotated[str, typer.Option(help="Their name, also for logging in.")]
Address = Annotated[str | None, typer.Option(help="Where links to choose a password are mailed.")]
FromInput = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the input.")]
Random = Annotated[bool, typer.Option("--random-password", help="Make a password and print it.")]
Pending = Annotated[bool, typer.Option("--pending", help="Only those who wait for a decision.")]
Who = Annotated[str, typer.Argument(help="Username or id.")]


def build_cli(add_rest: app.AddRest, write_docs: WriteDocs) -> typer.Typer:
    """All commands; what is above the core comes as arguments."""

    def serve(port: Port = None, host: Host = None, only: Only = None) -> None:
        """Serve sockets and REST until told to stop."""
        given = {name: value for name, value in (("port", port), ("host", host)) if value is not None}
        settings = _settings().model_copy(update=given)
        logs.set_up(settings.log_level, settings.log_format)
        with _trouble_in_one_line():
            app.run(app.serve(settings, add_rest, _announce, only))

    def docs(folder: Folder = Path("docs")) -> None:
        """Write openapi.json and asyncapi.json."""
        write_docs(folder)

    cli = typer.Typer(name=NAME, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    for command in (serve, check, docs):
        cli.command()(command)
    cli.add_typer(_group({"create": create_admin}, "Administrators."), name="admin")
    users = {"list": list_users, "approve": approve, "reject": reject}
    cli.add_typer(_group(users, "Accounts."), name="users")
    return cli


def _group(commands: dict[str, Callable[..., None]], about: str) -> typer.Typer:
    """Commands under one word, also when it is only one."""
    group = typer.Typer(no_args_is_help=True, help=about)
    group.callback()(lambda: None)
    for name, command in commands.items():
        group.command(name)(command)
    return group


# -- serving


def _announce(services: Services, port: int) -> None:
    settings = services.settings
    name = "localhost" if settings.host in {"127.0.0.1", "0.0.0.0", "::", "::1"} else settings.host
    address = f"http://{name}:{port}"
    typer.echo(f"Plaza serves on {address} ({settings.environment})")
    typer.echo(f"  REST API:        {address}/docs")
    typer.echo(f"  Socket.IO API:   {address}/docs/realtime")
    typer.echo(f"  first admin:     {NAME} admin create --username NAME")


# -- settings


def check() -> None:
    """Validate the settings and print them, without secrets."""
    for line in _lines_of(_settings(), "PLAZA"):
        typer.echo(line)


def _settings() -> Settings:
    """The settings, or one line for each problem and exit code 1."""
    try:
        return Settings()
    except ValidationError as error:
        _fail(*(_problem(dict(item)) for item in error.errors(include_url=False)))
    except (SettingsError, OSError) as error:
        _fail(str(error))


def _problem(item: dict[str, Any]) -> str:
    name = "__".join(["PLAZA", *(str(part) for part in item["loc"])]).replace("PLAZA__", "PLAZA_", 1)
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{name.upper()}: {message}" if item["loc"] else message


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


# -- people


def create_admin(
    username: Username,
    email: Address = None,
    password_stdin: FromInput = False,
    random_password: Random = False,
) -> None:
    """Make an administrator."""
    password = _password(from_stdin=password_stdin, random=random_password)
    with _trouble_in_one_line():
        body = AdminIn(username=username, email=email, password=password)
    _run(lambda services: _create_admin(services, body))
    if random_password:
        typer.echo(f"password: {password}")


def _password(*, from_stdin: bool, random: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if random:
        return secrets.token_urlsafe(15)
    if not sys.stdin.isatty():
        _fail("No terminal to ask for a password: use --password-stdin or --random-password.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


async def _create_admin(services: Services, body: AdminIn) -> None:
    user = await services.accounts.create_admin(body)
    typer.echo(f"{user.username} is an administrator ({user.id})")


def list_users(pending: Pending = False) -> None:
    """Show accounts and their standing."""
    _run(lambda services: _list_users(services, pending=pending))


def approve(who: Who) -> None:
    """Let somebody take part who waits for it."""
    _run(lambda services: _decide(services, who, "approve"))


def reject(who: Who) -> None:
    """Turn somebody down who waits for approval."""
    _run(lambda services: _decide(services, who, "reject"))


async def _list_users(services: Services, *, pending: bool) -> None:
    window = Window(PAGE)
    while True:
        found = await services.accounts.approvals.everybody(window, pending=pending)
        for user in found.items:
            typer.echo(f"{user.id}  {user.username:<24} {_standing(user):<9} {user.email or ''}")
        if found.behind is None:
            return
        window = Window(PAGE, after=found.behind)


def _standing(user: AdminUserOut) -> str:
    if user.is_banned or user.rejected:
        return "banned" if user.is_banned else "rejected"
    if not user.is_approved:
        return "pending"
    return "admin" if user.is_admin else "active"


async def _decide(services: Services, who: str, decision: Literal["approve", "reject"]) -> None:
    approvals = services.accounts.approvals
    user = await approvals.decide_as("cli", who if is_id(who) else await approvals.id_of(who), decision)
    typer.echo(f"{user.username} is {_standing(user)}")


# -- running a command on the database


def _run(work: Callable[[Services], Coroutine[Any, Any, None]]) -> None:
    settings = _settings()
    logs.set_up("warning", "console")

    async def main() -> None:
        async with _services(settings) as services:
            await work(services)

    with _trouble_in_one_line():
        asyncio.run(main())


@asynccontextmanager
async def _services(settings: Settings) -> AsyncGenerator[Services]:
    """All services, on the engine of a server that runs here already if there is one."""
    async with AsyncExitStack() as stack:
        try:
            services = await stack.enter_async_context(open_services(settings))
        except EngineInUse:
            url = SecretStr(Engines.mongo_url_in(settings.data_dir))
            running = settings.model_copy(update={"mongo_url": url})
            services = await stack.enter_async_context(open_services(running))
        yield services


@contextmanager
def _trouble_in_one_line() -> Generator[None]:
    """End the program with one line for what a person can do something about."""
    try:
        yield
    except EngineError as trouble:
        _fail(str(trouble))
    except (AppError, ValidationError) as error:
        problem = as_app_error(error)
        fields = problem.errors if isinstance(problem, Invalid) else []
        _fail(*([f"{item.field}: {item.message}" for item in fields] or [str(problem)]))


def _fail(*lines: str) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(1)
