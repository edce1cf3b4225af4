"""Tallies: what is counted very often is exported like any other counter."""

from prometheus_client import REGISTRY

from common.metrics import Tallies


def test_a_tally_is_exported_as_a_counter() -> None:
    birds = Tallies("plaza_test_birds", "Birds seen", ["kind"])

    birds.labels("wren").inc()
    birds.labels("wren").inc(2)
    birds.labels("owl").inc()

    assert REGISTRY.get_sample_value("plaza_test_birds_total", {"kind": "wren"}) == 3
    assert REGISTRY.get_sample_value("plaza_test_birds_total", {"kind": "owl"}) == 1
    REGISTRY.unregister(birds)
