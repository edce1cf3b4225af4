"""Streams under fire: gapless whatever fails, whoever else writes, and however often one asks."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from common.errors import Overloaded, Unavailable
from common.ids import new_id
from documents.streams import Collision
from documents.updates import Update
from realtime.features.updates.store import UpdateLog, change_of
from realtime.streams import Draft, KeyKnown, StreamWriter
from tests.clients import eventually
from tests.conftest import Node
from tests.doubles import RecordingFanout


async def said(_: Sequence[Draft]) -> None:
    """Nobody listens."""


def draft(stream: str, key: str | None = None) -> Draft:
    return Draft(stream, change_of("test", {}, key), key and f"{stream}:{key}")


async def positions(stream: str) -> list[int]:
    return [entry.pos for entry in await Update.after(stream, 0, 10_000)]


async def test_two_writers_of_one_stream_leave_no_gap_and_no_double(plaza: Node) -> None:
    stream = new_id()
    writers = [StreamWriter(UpdateLog(RecordingFanout()), said, batch=7, workers=1) for _ in range(2)]

    drafts = [draft(stream) for _ in range(200)]
    got = await asyncio.gather(*(random.choice(writers).append(one) for one in drafts))

    assert sorted(got) == list(range(1, 201)) == await positions(stream)


async def test_one_callers_order_survives_collisions(plaza: Node) -> None:
    stream = new_id()
    mine, other = (StreamWriter(UpdateLog(RecordingFanout()), said, batch=5, workers=1) for _ in range(2))

    async def write(writer: StreamWriter) -> list[int]:
        return await asyncio.gather(*(writer.append(draft(stream)) for _ in range(60)))

    for got in await asyncio.gather(write(mine), write(other)):
        assert got == sorted(got)


async def test_a_known_key_is_refused_without_using_a_position(plaza: Node) -> None:
    stream = new_id()
    writers = [StreamWriter(UpdateLog(RecordingFanout()), said, workers=1) for _ in range(2)]
    await writers[0].append(draft(stream, "same"))

    waits = [writer.append(draft(stream, key)) for key in ("same", None, "same", None) for writer in writers]
    got = await asyncio.gather(*waits, return_exceptions=True)

    assert sum(isinstance(one, KeyKnown) for one in got) == 4
    assert await positions(stream) == [1, 2, 3, 4, 5]


async def test_entries_are_said_in_order_after_they_are_stored(plaza: Node) -> None:
    stream, heard = new_id(), list[int]()

    async def hear(drafts: Sequence[Draft]) -> None:
        stored = await positions(stream)
        assert all(one.position in stored and not one.done.done() for one in drafts)
        heard.extend(one.position for one in drafts)

    writer = StreamWriter(UpdateLog(RecordingFanout()), hear, batch=8, workers=1)

    await asyncio.gather(*(writer.append(draft(stream)) for _ in range(50)))

    assert heard == list(range(1, 51))


class Counting(UpdateLog):
    """Counts inserts."""

    inserts = 0

    async def append(self, drafts: Sequence[Draft]) -> Collision | None:
        self.inserts += 1
        return await super().append(drafts)


class Flaky(UpdateLog):
    """Fails every third insert, after having stored a part of it or all: nobody knows."""

    def __init__(self, fanout: RecordingFanout) -> None:
        super().__init__(fanout)
        self.calls = 0

    async def append(self, drafts: Sequence[Draft]) -> Collision | None:
        self.calls += 1
        if self.calls % 3 == 0:
            await super().append(drafts[: random.randint(0, len(drafts))] or drafts[:1])
            raise Unavailable
        return await super().append(drafts)


async def test_retries_after_unknown_outcomes_store_everything_once(plaza: Node) -> None:
    stream, fanout = new_id(), RecordingFanout()
    writer = StreamWriter(Flaky(fanout), said, batch=4, workers=1)

    async def write(key: str) -> None:
        while True:
            try:
                await writer.append(draft(stream, key))
            except Unavailable:
                continue
            except KeyKnown:
                return
            return

    await asyncio.gather(*(write(f"{n}") for n in range(60)))

    entries = await Update.after(stream, 0, 1000)
    assert [entry.pos for entry in entries] == list(range(1, 61))
    assert sorted(int(entry.key or "") for entry in entries) == list(range(60))
    await eventually(lambda: bool(fanout.delivered) and fanout.delivered[-1].position == 60)


async def test_many_retries_at_once_cost_one_look_not_one_insert_each(plaza: Node) -> None:
    streams = [new_id() for _ in range(200)]
    log = Counting(RecordingFanout())
    writer = StreamWriter(log, said, workers=1)
    await asyncio.gather(*(writer.append(draft(stream, "same")) for stream in streams))
    log.inserts = 0

    got = await asyncio.gather(
        *(writer.append(draft(stream, "same")) for stream in streams),
        *(writer.append(draft(stream)) for stream in streams),
        return_exceptions=True,
    )

    assert sum(isinstance(one, KeyKnown) for one in got) == 200
    assert got[200:] == [2] * 200
    assert log.inserts <= 6


async def test_a_full_writer_refuses_at_once(plaza: Node) -> None:
    stream = new_id()
    writer = StreamWriter(UpdateLog(RecordingFanout()), said, waiting=3, workers=1)
    waits = [writer.append(draft(stream)) for _ in range(3)]

    with pytest.raises(Overloaded):
        writer.append(draft(stream))

    assert await asyncio.gather(*waits) == [1, 2, 3]


async def test_a_log_keeps_its_newest_entries_and_says_when_a_gap_is_too_old(plaza: Node) -> None:
    user = new_id()
    updates = plaza.services.updates
    writer = StreamWriter(UpdateLog(RecordingFanout()), said, workers=1)
    await asyncio.gather(*(writer.append(draft(user)) for _ in range(300)))
    await Update.trim(user, 100)

    old, recent = await updates.after(user, 50), await updates.after(user, 250)

    assert (old.truncated, old.pos, old.entries) == (True, 300, [])
    assert [entry.pos for entry in recent.entries] == list(range(251, 301))
