"""What commands share: settings, services on the right engines, and trouble in one line."""

import asyncio
import errno
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, NoReturn

import typer
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from common import logs
from common.engines import EngineError, EngineInUse, Engines
from common.errors import Internal, Invalid, as_app_error
from common.settings import Settings
from realtime.bootstrap import Services, open_services
from realtime.engines import make_indexes
from realtime.push_providers import BadPushKey
from realtime.worker import WorkerFailed


def settings(**given: Any) -> Settings:
    """The settings with what was `given` instead, or one line for each problem and exit code 1."""
    try:
        return Settings(**given)
    except ValidationError as error:
        fail(*(_problem(dict(item)) for item in error.errors(include_url=False)))
    except (SettingsError, OSError) as error:
        fail(str(error))


def _problem(item: dict[str, Any]) -> str:
    name = "__".join(["PLAZA", *(str(part) for part in item["loc"])]).replace("PLAZA__", "PLAZA_", 1)
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{name.upper()}: {message}" if item["loc"] else message


def run(work: Callable[[Services], Coroutine[Any, Any, None]]) -> None:
    """Do something with all services, from a command that ends with it."""
    chosen = settings()
    logs.set_up("warning", "console")

    async def main() -> None:
        async with _services(chosen) as services:
            await services.personal.stop()  # whoever serves does that: they can tell those who are connected
            await services.push.stop()
            await work(services)

    with trouble_in_one_line():
        asyncio.run(main())


async def migrate(settings: Settings) -> None:
    """Make missing indexes, in the engine of a server that runs here already if there is one."""
    if settings.mongo_url is not None:
        await make_indexes(settings.mongo_url.get_secret_value(), settings.database)
        return
    async with _services(settings.model_copy(update={"migrate": True})):
        """What opens them makes the indexes."""


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
def trouble_in_one_line() -> Generator[None]:
    """End the program with one line for what a person can do something about."""
    try:
        yield
    except (EngineError, WorkerFailed, BadPushKey) as trouble:
        fail(str(trouble))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        fail(f"the port is taken: {error.strerror}")
    except Exception as error:
        problem = as_app_error(error)
        if isinstance(problem, Internal):
            raise
        fields = problem.errors if isinstance(problem, Invalid) else []
        fail(*([f"{item.field}: {item.message}" for item in fields] or [str(problem)]))


def fail(*lines: str) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(1)
