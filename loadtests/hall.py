"""Where Locust users meet: tables of a few, each a group conversation."""

from itertools import count

from loadtests.history import Clock
from loadtests.talker import Talker

TABLE = 5


class Hall:
    """Everyone who came, and the table that is filling up."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.talkers: list[Talker] = []
        self.members: dict[str, list[str]] = {}
        self._filling: list[Talker] = []
        self._names = count(1)

    def next_name(self) -> str:
        return f"guest{next(self._names)}"

    def seat(self, talker: Talker) -> None:
        """The last one at a table founds its group; the others hear of it from the server."""
        self.talkers.append(talker)
        self._filling.append(talker)
        if len(self._filling) == TABLE:
            table, self._filling = self._filling, []
            ids = [one.id for one in table]
            self.members[talker.found_group(ids[:-1])] = ids
