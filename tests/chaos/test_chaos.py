"""Two processes, killed and cut off under traffic: nothing acknowledged is lost, doubled, or out of order.

The long run is `make chaos`.
"""

import pytest

from loadtests import chaos


@pytest.mark.timeout(110)
async def test_nothing_acknowledged_is_lost_when_processes_and_redis_die() -> None:
    outcome = await chaos.run(chaos.SHORT)

    assert outcome.violations == []
    assert len(outcome.history.sends) >= chaos.SHORT.sends
    assert outcome.live == chaos.SHORT.clients, "the servers heal by themselves what the bus lost"
    assert [fault.split(" at ")[0] for fault in outcome.faults] == ["kill", "restart redis", "kill"]
