"""Looking at what a node shows, through the public API, with the eyes of members."""

import asyncio
from collections.abc import Mapping, Sequence

from loadtests.client import Client
from loadtests.history import Entry, Place, View

PAGE = 100
AT_ONCE = 8

Members = Mapping[str, Sequence[str]]


async def view(url: str, crowd: Sequence[Client], members: Members) -> View:
    """Every history and every list, as one node shows them."""
    gate, by_id = asyncio.Semaphore(AT_ONCE), {client.account.id: client for client in crowd}
    shown = View(url)

    async def messages(conversation: str) -> None:
        async with gate:
            shown.messages[conversation] = await history(url, by_id[members[conversation][0]], conversation)

    async def places(client: Client) -> None:
        async with gate:
            shown.lists[client.account.id] = await places_of(url, client)

    await asyncio.gather(*map(messages, members), *map(places, crowd))
    return shown


async def history(url: str, client: Client, conversation: str) -> list[Entry]:
    """A conversation from its beginning, page by page."""
    entries: list[Entry] = []
    while True:
        last = entries[-1].seq if entries else 0
        path = f"/api/conversations/{conversation}/messages?limit={PAGE}&after={last}"
        page = await client.ask("GET", path, url=url)
        entries += [Entry.of(message) for message in page]
        if len(page) < PAGE:
            return entries


async def places_of(url: str, client: Client) -> dict[str, Place]:
    """Somebody's conversation list."""
    rows = await client.ask("GET", f"/api/messages/conversations?limit={PAGE}", url=url)
    return {row["id"]: Place(row["seq"], row["readSeq"], row["unread"]) for row in rows}


async def heads_of(url: str, client: Client) -> tuple[dict[str, int], int]:
    """The last seq of each of somebody's conversations, and the last `pos` of their log."""
    places, now = await places_of(url, client), await client.ask("POST", "/api/sync", {}, url=url)
    return {key: place.seq for key, place in places.items()}, now["updates"]["pos"]
