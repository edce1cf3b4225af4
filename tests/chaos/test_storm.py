"""Hundreds lose their connection at once: all come back, and those who talk meanwhile are answered.

The storm of ten thousand is `make storm`. Here the door is narrow, so that most are turned away at first.
"""

import pytest

from loadtests import storm
from loadtests.storm_lines import lines_in_a_minute

SMALL = storm.Plan(
    how="cut",
    herd=200,
    others=20,
    rate=20.0,
    spread=0.5,
    calm=1.0,
    after=0.2,
    settings={"PLAZA_LIMITS__NEWCOMERS": "15"},
)


@pytest.mark.timeout(90)
async def test_everybody_comes_back_and_nobody_else_is_disturbed() -> None:
    outcome = await storm.run(SMALL)

    assert outcome.broken == []
    assert outcome.count.returned == outcome.count.connected == SMALL.herd
    assert outcome.count.turned_away > 0, "the door was wide enough for all"
    assert outcome.during, "nobody talked"


def test_lines_are_counted_over_every_minute() -> None:
    moments = [0, 50, 59, 61, 100, 100, 300]
    log = "\n".join(f'{{"event":"x","at":"2026-01-01T00:{at // 60:02}:{at % 60:02}Z"}}' for at in moments)
    assert lines_in_a_minute(f"no line of ours\n{log}\n") == 5
