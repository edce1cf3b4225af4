"""Commands for keeping order: bans, and whether the log of what was done is whole."""

import re
from typing import Annotated

import typer

from common.errors import Invalid
from realtime import terminal
from realtime.bootstrap import Services
from realtime.features.moderation.schemas.queue import ActionIn

DAY = 86_400
_ROW = re.compile(r"(\d{1,15}):([0-9a-f]{64})")

Who = Annotated[str, typer.Argument(help="Username or id.")]
Reason = Annotated[str, typer.Option(help="What the person is told.")]
Days = Annotated[int | None, typer.Option(min=1, max=3650, help="For so long; without it, for ever.")]
Known = Annotated[str | None, typer.Option(help="What an earlier run has printed: it must still be there.")]


def ban(who: Who, reason: Reason, days: Days = None) -> None:
    """Ban somebody: their sessions end, and nobody sees them."""
    with terminal.trouble_in_one_line():
        wanted = ActionIn(action="ban", reason=reason, duration_seconds=days * DAY if days else None)
    terminal.run(lambda services: _ban(services, who, wanted))


def unban(who: Who, reason: Reason = "") -> None:
    """Take every ban of somebody back that holds."""
    terminal.run(lambda services: _unban(services, who, reason))


async def _ban(services: Services, who: str, wanted: ActionIn) -> None:
    user_id = await services.accounts.administration.id_of(who)
    done = await services.moderation.sanctions.act_as("cli", user_id, wanted)
    end = "for ever" if done.until is None else f"until {done.until:%Y-%m-%d %H:%M} UTC"
    typer.echo(f"{who} is banned {end}")


async def _unban(services: Services, who: str, reason: str) -> None:
    user_id = await services.accounts.administration.id_of(who)
    bans = await services.moderation.sanctions.lift("cli", user_id, reason)
    typer.echo(f"{who} is not banned" if bans else f"{who} was not banned")


def verify_audit(known: Known = None) -> None:
    """Check that no row of the audit log was changed, removed or slipped in; print where it ends."""
    with terminal.trouble_in_one_line():
        row = _row(known) if known is not None else None
    terminal.run(lambda services: _verify(services, row))


def _row(text: str) -> tuple[int, str]:
    match = _ROW.fullmatch(text)
    if match is None:
        raise Invalid.field("known", "looks like 17:0af3…, a number and 64 digits")
    return int(match[1]), match[2]


async def _verify(services: Services, known: tuple[int, str] | None) -> None:
    chain = await services.accounts.audit.verify(known)
    if chain.trouble is not None:
        terminal.fail(f"The audit log is broken: {chain.trouble}")
    typer.echo(f"The audit log is whole. It ends with {chain.length}:{chain.hash}")
