"""The benchmark's arithmetic and its page; nothing is measured here."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadtests.bench import generator, page, report
from loadtests.bench.generator import BenchError, Load
from loadtests.bench.results import Results, Sample, of_traffic
from loadtests.bench.rounds import Bench, Pace
from loadtests.bench.subjects import Name


def results_of(figures: Mapping[tuple[str, Name], list[tuple[float, float]]]) -> Results:
    """Rows of (µs, strangers)."""
    results = Results()
    for (row, name), runs in figures.items():
        for us, foreign in runs:
            results.add(row, name, Sample({"us": us}, foreign))
    return results


def load_of(**values: float) -> Load:
    nothing = {name: 0 for name, field in Load.model_fields.items() if field.is_required()}
    return Load.model_validate({**nothing, **values})


def test_a_figure_is_the_median_of_the_clean_runs() -> None:
    results = results_of({("echo", "plaza"): [(10, 5), (90, 80), (12, 19), (11, 0)]})

    assert results.figure("echo", "plaza", "us") == 11
    assert results.foreign("echo", "plaza") == (12.0, False)


def test_where_no_run_was_clean_all_count_and_are_marked() -> None:
    results = results_of({("echo", "plaza"): [(10, 50), (20, 70)]})

    assert results.figure("echo", "plaza", "us") == 15
    assert results.foreign("echo", "plaza") == (60.0, True)
    assert "60 % ⚠" in report.figures(results)


def test_what_was_not_measured_is_neither_a_figure_nor_a_goal() -> None:
    results = results_of({("echo", "plaza"): [(10, 0)]})

    assert results.figure("echo", "node", "us") is None
    assert results.ratio("echo", "us", "node", "plaza") is None
    assert report.goals(results) == ""


def test_goals_compare_cpu_with_the_peers() -> None:
    results = results_of(
        {
            ("fanout 1000", "plaza"): [(5, 0)],
            ("fanout 1000", "node"): [(10, 0)],
            ("fanout 1000", "limit"): [(4, 0)],
            ("echo", "plaza"): [(15, 0)],
            ("echo", "node"): [(18, 0)],
        }
    )
    reached = {aim.what: (aim.found, aim.reached) for aim in report.aims(results) if aim.found is not None}

    assert reached == {
        "fan-out to 1,000: CPU, Node to Plaza": (2.0, True),
        "fan-out to 1,000: CPU, C `send()` limit to Plaza": (0.8, False),
        "echo with ack: CPU, Node to Plaza": (1.2, True),
    }


def test_less_is_better_where_it_is() -> None:
    results = Results()
    results.add("at 50/s 1000", "plaza", Sample({"p99": 5.0}, 0))
    results.add("at 50/s 1000", "node", Sample({"p99": 10.0}, 0))
    results.add("leave", "plaza", Sample({"us": 51.0}, 0))

    reached = {aim.what: aim.reached for aim in report.aims(results) if aim.found is not None}
    assert reached == {"p99 at 1,000 x 50/s: Plaza to Node": True, "10,000 leave at once: CPU each": False}


def test_a_run_that_lost_something_says_so() -> None:
    load = load_of(clients=11, joined=11, expected=100, delivered=97, gaps=2, closed=1, refused=4)

    assert of_traffic(load, 0).faults == (
        "1 connections lost",
        "4 refused",
        "3 not delivered",
        "2 out of order",
    )


def test_a_run_in_which_nobody_heard_anything_has_no_latency_and_no_cost() -> None:
    assert {"us", "p99"}.isdisjoint(of_traffic(load_of(clients=2, joined=2), 0).values)


def test_subjects_take_turns_in_going_first() -> None:
    nothing: Any = None
    bench = Bench(nothing, nothing, Pace(3, 1.0, 1.0, 0, 0.0), subjects=("plaza", "node", "stock"))

    turns = [bench.turns(number, ("plaza", "node", "limit", "stock")) for number in range(4)]
    assert turns[0] == turns[3] == ["plaza", "node", "stock"]
    assert turns[1:3] == [["node", "stock", "plaza"], ["stock", "plaza", "node"]]


def test_what_is_compared_was_measured_in_the_same_round() -> None:
    results = Results()
    for number, slowness in enumerate((1, 3, 2)):
        results.add("echo", "plaza", Sample({"us": 10.0 * slowness}, 0, number=number))
        results.add("echo", "node", Sample({"us": 15.0 * slowness}, 0, number=number))
    results.add("echo", "node", Sample({"us": 1.0}, 0, number=3))

    assert results.ratio("echo", "us", "node", "plaza") == 1.5


def test_the_parts_that_are_measured_by_themselves_outlive_a_new_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(page, "conditions", lambda *_: "here and now")
    crowd = Results()
    crowd.add("crowd", "plaza", Sample({"connections": 100_000.0, "p99": 880.4}, 0))

    page.write_many(crowd, "loopback")
    page.write_part(page.SEARCH, "## Search")
    page.write(results_of({("echo", "plaza"): [(15, 0)]}), "loopback", "node", 3)

    written = (tmp_path / "performance.md").read_text()
    assert "| connections at once | 100,000 |" in written and "| p99 of a broadcast, ms | 880 |" in written
    assert written.count("## Many connections") == written.count("## Search") == 1
    assert "| Plaza | 15.0 |" in written


def test_without_a_compiler_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(BenchError, match="gcc"):
        generator.find_compiler()


def test_goals_say_when_they_stand_on_runs_beside_busy_strangers() -> None:
    clean = results_of({("echo", "plaza"): [(10, 3)], ("echo", "node"): [(12, 4)]})
    busy = results_of({("echo", "plaza"): [(10, 3)], ("echo", "node"): [(12, 64)]})

    assert "1.20 x | reached" in report.goals(clean)
    assert "1.20 x ⚠ | reached" in report.goals(busy)


def test_what_went_wrong_is_listed_with_where() -> None:
    results = Results()
    results.add("echo", "plaza", Sample({"us": 10.0}, 0, ("3 refused",)))
    results.add("echo", "node", Sample({"us": 12.0}, 0))

    assert "- echo, plaza: 3 refused" in report.faults(results)
    assert results.faults("node") == []
    assert "1.20 x | **void**" in report.goals(results)
