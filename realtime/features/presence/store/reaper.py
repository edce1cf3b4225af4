"""Clearing up after nodes that died: who was only there is offline now."""

import asyncio
from datetime import UTC, datetime

import structlog

from realtime.features.presence.store import scripts
from realtime.features.presence.store.link import Link, millis
from realtime.features.presence.store.port import Listener

log = structlog.get_logger(__name__)

BATCH = 200


class Reaper:
    """One node's share of it. A dead node is claimed for a while: should its reaper die, the next goes on."""

    def __init__(self, link: Link, listener: Listener, claim: float) -> None:
        self._link, self._listener, self._claim = link, listener, claim

    async def look(self, me: str) -> None:
        """Clear up after every node whose lease has ended."""
        for node, heard in await self._link.run(scripts.DEAD, ["nodes", "beats"], []):
            dead, last_seen = node.decode(), datetime.fromtimestamp(int(float(heard)) / 1000, UTC)
            while await self._clear_some(dead, me, last_seen):
                log.info("presence_clearing_up", node=dead)

    async def _clear_some(self, dead: str, me: str, last_seen: datetime) -> bool:
        """Tell of some people of a dead node, then forget them there; whether there are more."""
        found = await self._link.run(scripts.SOME, [f"node:{dead}"], [BATCH])
        users = [user.decode() for user in found]
        keys = ["nodes", f"reaper:{dead}", *(f"user:{user}" for user in users)]
        gone = await self._link.run(scripts.REAP, keys, [dead, me, millis(self._claim)])
        if gone is None:
            return False
        try:
            async with asyncio.timeout(self._claim / 2):
                await self._listener.gone({users[int(position) - 1]: last_seen for position in gone})
        except TimeoutError:  # they are being told, but no longer under our claim: look again later
            log.warning("presence_clears_up_slowly", node=dead, people=len(gone))
            return False
        keys = ["nodes", "beats", f"node:{dead}", f"reaper:{dead}"]
        return int(await self._link.run(scripts.REAPED, keys, [dead, *users])) > 0
