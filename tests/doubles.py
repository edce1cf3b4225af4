"""Real classes in place of ports, that remember what they were told."""

from collections.abc import Sequence

from common.ids import Id
from realtime.fanout import Delivery, Fanout, LocalFanout
from realtime.features.push import PushNote


class RecordingFanout(Fanout):
    """Says nothing to anybody and remembers everything."""

    def __init__(self) -> None:
        super().__init__(LocalFanout())
        self.delivered: list[Delivery] = []

    def deliver(self, delivery: Delivery) -> None:
        self.delivered.append(delivery)


class RecordingPushes:
    """Sends nothing to any phone and remembers everything."""

    def __init__(self) -> None:
        self.notes: list[PushNote] = []
        self.dismissed: list[str] = []

    async def put(self, note: PushNote) -> None:
        self.notes.append(note)

    async def dismiss(self, user_id: Id, keys: Sequence[str]) -> None:
        self.dismissed.extend(keys)
