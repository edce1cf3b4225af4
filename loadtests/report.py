"""Numbers for people."""

from collections.abc import Iterable, Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


def table(title: str, rows: Iterable[tuple[str, object]]) -> str:
    """A heading and aligned lines."""
    rows = [(name, f"{value:,}" if isinstance(value, int) else str(value)) for name, value in rows]
    wide = max(len(name) for name, _ in rows)
    return "\n".join(["", title, "-" * len(title), *(f"{name:<{wide}}  {value}" for name, value in rows)])
