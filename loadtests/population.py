"""Many people at once, straight into the database: each is logged in, and in a group.

The front door makes a few hundred people a second; a storm needs ten thousand. Documents belong to one
database in each process, so `populate` starts this module as a process of its own.
"""

import asyncio
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path

import jwt
import orjson
from pydantic import BaseModel, TypeAdapter

from loadtests.bench.population import Population
from loadtests.client import Account
from loadtests.server import ROOT


class Wish(BaseModel):
    """How many people are wanted where, in groups of which size, and what signs their tokens."""

    mongo_url: str
    database: str
    secret: str
    people: int
    group: int


class People(BaseModel):
    """Who was made. The first group is that of the first people."""

    group: str
    accounts: list[Account]


_PEOPLE = TypeAdapter(People)


async def populate(wish: Wish) -> People:
    """Make them, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests.population", cwd=ROOT, stdin=PIPE, stdout=PIPE
    )
    made, _ = await process.communicate(wish.model_dump_json().encode())
    if process.returncode:
        raise RuntimeError("the population could not be made")
    return _PEOPLE.validate_json(made)


async def _write(wish: Wish) -> People:
    with tempfile.TemporaryDirectory(prefix="plaza-load-") as folder:
        population = Population(wish.mongo_url, wish.database, wish.secret, Path(folder))
        await population.open()
        try:
            crowd = await population.crowd(wish.people, group=wish.group)
        finally:
            await population.close()
        tokens = [orjson.loads(line)["token"] for line in crowd.auths.read_text().splitlines()]
    return People(group=crowd.conversation, accounts=[_account(token) for token in tokens])


def _account(token: str) -> Account:
    claims = jwt.decode(token, options={"verify_signature": False})
    return Account(claims["sub"], token, claims["username"])


def main() -> int:
    """Fulfil the wish on the standard input."""
    wish = Wish.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.buffer.write(asyncio.run(_write(wish)).model_dump_json().encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
