"""Commands about people: administrators and accounts."""

import secrets
import sys
from typing import Annotated, Literal

import typer

from common.ids import Id, is_id
from realtime import terminal
from realtime.bootstrap import Services
from realtime.features.accounts.schemas.admin import AdminIn, AdminUserOut, UsersQuery
from realtime.features.accounts.schemas.common import Window

PAGE = 100

Username = Annotated[str, typer.Option(help="Their name, also for logging in.")]
Address = Annotated[str | None, typer.Option(help="Where links to choose a password are mailed.")]
FromInput = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the input.")]
Random = Annotated[bool, typer.Option("--random-password", help="Make a password and print it.")]
Pending = Annotated[bool, typer.Option("--pending", help="Only those who wait for a decision.")]
Who = Annotated[str, typer.Argument(help="Username or id.")]
WhoOrNobody = Annotated[str | None, typer.Argument(help="Username or id.")]
AtOnce = Annotated[bool, typer.Option("--at-once", help="Without a grace period: there is no way back.")]
Everybody = Annotated[bool, typer.Option("--all", help="Everybody.")]


def create_admin(
    username: Username,
    email: Address = None,
    password_stdin: FromInput = False,
    random_password: Random = False,
) -> None:
    """Make an administrator."""
    password = _password(from_stdin=password_stdin, random=random_password)
    with terminal.trouble_in_one_line():
        body = AdminIn(username=username, email=email, password=password)
    terminal.run(lambda services: _create_admin(services, body))
    if random_password:
        typer.echo(f"password: {password}")


def _password(*, from_stdin: bool, random: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if random:
        return secrets.token_urlsafe(15)
    if not sys.stdin.isatty():
        terminal.fail("No terminal to ask for a password: use --password-stdin or --random-password.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


async def _create_admin(services: Services, body: AdminIn) -> None:
    user = await services.accounts.create_admin(body)
    typer.echo(f"{user.username} is an administrator ({user.id})")


def list_users(pending: Pending = False) -> None:
    """Show accounts and their standing."""
    terminal.run(lambda services: _list_users(services, pending=pending))


def approve(who: Who) -> None:
    """Let somebody take part who waits for it."""
    terminal.run(lambda services: _decide(services, who, "approve"))


def reject(who: Who) -> None:
    """Turn somebody down who waits for approval."""
    terminal.run(lambda services: _decide(services, who, "reject"))


async def _list_users(services: Services, *, pending: bool) -> None:
    window, wanted = Window(PAGE), UsersQuery(standing="pending" if pending else None)
    while True:
        found = await services.accounts.administration.listed(wanted, window)
        for user in found.items:
            typer.echo(f"{user.id}  {user.username:<24} {_standing(user):<9} {user.email or ''}")
        if found.behind is None:
            return
        window = Window(PAGE, after=found.behind)


def _standing(user: AdminUserOut) -> str:
    if user.standing != "active":
        return user.standing
    if user.is_admin:
        return "admin"
    return "moderator" if user.is_moderator else "active"


async def _decide(services: Services, who: str, decision: Literal["approve", "reject"]) -> None:
    user = await services.accounts.administration.decide_as("cli", await _id_of(services, who), decision)
    typer.echo(f"{user.username} is {_standing(user)}")


def delete(who: Who, at_once: AtOnce = False) -> None:
    """Let somebody's account be deleted: absent now, erased by the server when the grace period is over."""
    terminal.run(lambda services: _delete(services, who, at_once=at_once))


def restore(who: Who) -> None:
    """Take the deletion of somebody's account back, before the grace period is over."""
    terminal.run(lambda services: _restore(services, who))


async def _delete(services: Services, who: str, *, at_once: bool) -> None:
    deletions = services.personal.deletions
    ends = await deletions.request_deletion(await _id_of(services, who), by="cli", at_once=at_once)
    typer.echo(f"{who} will be erased at {ends.deletes_at:%Y-%m-%d %H:%M} UTC")


async def _restore(services: Services, who: str) -> None:
    await services.personal.deletions.restore(await _id_of(services, who), by="cli")
    typer.echo(f"{who} stays")


async def _id_of(services: Services, who: str) -> Id:
    return who if is_id(who) else await services.accounts.administration.id_of(who)


def recompute(who: WhoOrNobody = None, everybody: Everybody = False) -> None:
    """Make vibeScore and streak what the ledger of activities says, and show what was different."""
    if everybody is (who is not None):
        terminal.fail("Give a username, or --all.")
    terminal.run(lambda services: _recompute(services, who))


async def _recompute(services: Services, who: str | None) -> None:
    only = None if who is None else await _id_of(services, who)
    looked_at = different = 0
    async for recount in services.accounts.activity.recount(only):
        looked_at += 1
        if recount.differs:
            different += 1
            typer.echo(str(recount))
    typer.echo(f"{looked_at} looked at, {different} put right")
