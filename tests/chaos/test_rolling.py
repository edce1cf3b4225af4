"""Both processes are replaced while people talk: nothing is lost, nobody gets an error of the server.

The ten rounds with more people are `make rolling`.
"""

import pytest

from loadtests import rolling

SMALL = rolling.Roll(restarts=1, clients=16, talks=8, rate=40.0, drain=3.0)


@pytest.mark.timeout(110)
async def test_a_rolling_restart_loses_nothing_and_tells_everybody() -> None:
    outcome, seen = await rolling.run(SMALL)

    assert outcome.violations == []
    assert len(seen.drains) == 2
    assert seen.statuses.keys() <= {200, 201}
    assert outcome.history.sends, "nobody talked"
