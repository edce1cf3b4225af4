"""A figure of `/metrics`, from when the test began to look at it."""

from prometheus_client import REGISTRY


class Figure:
    """One counter, by its exported name and labels."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name, self._labels = name, labels
        self._before = self._now()

    def _now(self) -> float:
        return REGISTRY.get_sample_value(self._name, self._labels) or 0.0

    def grown(self) -> float:
        """By how much it has grown."""
        return self._now() - self._before
