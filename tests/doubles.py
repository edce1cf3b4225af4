"""Real classes in place of ports, that remember what they were told."""

from realtime.fanout import Delivery, Fanout, LocalFanout


class RecordingFanout(Fanout):
    """Says nothing to anybody and remembers everything."""

    def __init__(self) -> None:
        super().__init__(LocalFanout())
        self.delivered: list[Delivery] = []

    def deliver(self, delivery: Delivery) -> None:
        self.delivered.append(delivery)
