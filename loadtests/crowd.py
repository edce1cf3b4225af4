"""People and their conversations, made through the front door."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from loadtests.answers import Refused
from loadtests.client import Account, Client, Manners, Target
from loadtests.history import Clock

AT_ONCE = 8
CALL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation and the places of its members in the crowd."""

    id: str
    members: tuple[int, ...]
    is_direct: bool

    def target(self, place: int, crowd: Sequence[Client]) -> Target:
        """The conversation as one of its members addresses it."""
        other = next((one for one in self.members if one != place), place)
        return Target(self.id, crowd[other].account.id if self.is_direct else None)


async def post(http: aiohttp.ClientSession, url: str, body: Any, token: str | None = None) -> Any:
    """The `data` of an answer; raises `Refused`."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with http.post(url, json=body, headers=headers) as reply:
        answer = await reply.json()
        if reply.status >= 400:
            raise Refused(answer)
        return answer["data"]


async def sign_up(http: aiohttp.ClientSession, url: str, name: str) -> Account:
    """A new person."""
    body = {
        "email": f"{name}@example.org",
        "password": f"{name}-has-a-secret",
        "name": name,
        "handle": name,
    }
    data = await post(http, f"{url}/api/auth/signup", body)
    return Account(data["user"]["id"], data["access_token"], name)


async def gather_crowd(
    http: aiohttp.ClientSession, urls: Sequence[str], names: Sequence[str], manners: Sequence[Manners]
) -> list[Client]:
    """One client for each name, signed up at alternating nodes, with the manners in turn."""
    gate, clock = asyncio.Semaphore(AT_ONCE), Clock()

    async def one(place: int, name: str) -> Client:
        async with gate:
            account = await sign_up(http, urls[place % len(urls)], name)
        return Client(account, urls, http, clock, manners[place % len(manners)])

    return list(await asyncio.gather(*(one(place, name) for place, name in enumerate(names))))


async def found_talks(crowd: Sequence[Client], count: int, dice: random.Random) -> list[Talk]:
    """Half of them direct, half groups that together hold everybody. The crowd is connected."""
    pairs: set[tuple[int, ...]] = set()
    while len(pairs) < min(count // 2, len(crowd) * (len(crowd) - 1) // 2):
        pairs.add(tuple(sorted(dice.sample(range(len(crowd)), 2))))
    talks = [await _open_direct(crowd, pair) for pair in sorted(pairs)]
    waiting = dice.sample(range(len(crowd)), len(crowd))
    for left in range(count - len(talks), 0, -1):
        share = waiting[: -(-len(waiting) // left)]
        waiting = waiting[len(share) :]
        others = [place for place in range(len(crowd)) if place not in share]
        share += dice.sample(others, dice.randint(1, min(3, len(others))))
        talks.append(await _found_group(crowd, share))
    return talks


async def _open_direct(crowd: Sequence[Client], pair: tuple[int, ...]) -> Talk:
    wire, other = crowd[pair[0]].wire, crowd[pair[1]].account.id
    assert wire is not None, "the crowd is connected"
    opened = await wire.call("join_room", {"friendId": other}, CALL_SECONDS)
    return Talk(opened["conversationId"], pair, True)


async def _found_group(crowd: Sequence[Client], members: Sequence[int]) -> Talk:
    others = [crowd[place].account.id for place in members[1:]]
    group = await crowd[members[0]].ask(
        "POST", "/api/conversations", {"name": "a group", "memberIds": others}
    )
    return Talk(group["id"], tuple(members), False)
