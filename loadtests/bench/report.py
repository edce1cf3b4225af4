# pyright: strict
"""The tables: what was aimed at and what was reached, and every figure beside the peers'."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtests.bench.results import CLEAN, Results
from loadtests.bench.subjects import TITLES, Name

Cells = Sequence[str]

SUBJECTS: tuple[Name, ...] = ("plaza", "node", "node-open", "stock", "limit")
SIZES = (1000, 5000, 100)


@dataclass(frozen=True)
class Aim:
    """One goal: what was found, and whether that is enough (`at_least`) or little enough."""

    what: str
    found: float | None
    bound: float
    unit: str = " x"
    at_least: bool = True

    @property
    def reached(self) -> bool | None:
        if self.found is None:
            return None
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    def cells(self) -> Cells:
        sign = "≥" if self.at_least else "≤"
        found = "-" if self.found is None else f"{self.found:,.2f}{self.unit}"
        verdict = {None: "not measured", True: "reached", False: "**missed**"}[self.reached]
        return (self.what, f"{sign} {self.bound:g}{self.unit}", found, verdict)


def aims(results: Results) -> list[Aim]:
    """The goals, with ratios of CPU time where there is a peer."""

    def cheaper(row: str, peer: Name) -> float | None:
        return results.ratio(row, "us", peer, "plaza")

    found: list[Aim] = []
    for size in (1000, 5000):
        found.append(Aim(f"fan-out to {size:,}: CPU, Node to Plaza", cheaper(f"fanout {size}", "node"), 2.0))
        limit = cheaper(f"fanout {size}", "limit")
        found.append(Aim(f"fan-out to {size:,}: CPU, C `send()` limit to Plaza", limit, 0.9))
    found += [
        Aim(f"bursts to {size:,}: CPU, Node to Plaza", cheaper(f"bursts {size}", "node"), 3.5)
        for size in sorted(SIZES)
    ]
    late = results.ratio("at 50/s 1000", "p99", "plaza", "node")
    kilobytes = results.figure("idle", "plaza", "kb")
    leaving = results.figure("leave", "plaza", "us")
    bus, whole = (results.figure(row, "plaza", "us") for row in ("bus alone", "two processes"))
    grown = results.figure("100 do not read", "plaza", "mb")
    noticed = _quotient(
        results.figure("100 do not read", "plaza", "p99"), results.figure("all read", "plaza", "p99")
    )
    return [
        *found,
        Aim("p99 at 1,000 x 50/s: Plaza to Node", late, 0.65, at_least=False),
        Aim("echo with ack: CPU, Node to Plaza", cheaper("echo", "node"), 1.0),
        Aim("idle connection, authenticated: RSS", kilobytes, 8.0, " KB", at_least=False),
        Aim("connect: CPU, Node that verifies a token to Plaza", cheaper("connect", "node"), 1.2),
        Aim("connect: CPU, Node that lets anybody in to Plaza", cheaper("connect", "node-open"), 1.2),
        Aim("10,000 leave at once: CPU each", leaving, 50.0, " µs", at_least=False),
        Aim(
            "between two processes: CPU of both per broadcast, fan-out and bus",
            bus,
            35.0,
            " µs",
            at_least=False,
        ),
        Aim(
            "between two processes: the same with the command and two sockets",
            whole,
            35.0,
            " µs",
            at_least=False,
        ),
        Aim("100 of 1,000 do not read: RSS grows by", grown, 20.0, " MB", at_least=False),
        Aim("100 of 1,000 do not read: the others' p99", noticed, 1.2, at_least=False),
    ]


def _quotient(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def goals(results: Results) -> str:
    """The goals as a table."""
    measured = [aim.cells() for aim in aims(results) if aim.found is not None]
    return _table(("goal", "aimed at", "measured", ""), measured) if measured else ""


def figures(results: Results) -> str:
    """Every figure of every row."""
    parts = [
        _fanout(results),
        _latency(results),
        _echo(results),
        _connections(results),
        _bus(results),
        _slow(results),
    ]
    return "\n\n".join(part for part in parts if part)


def _fanout(results: Results) -> str:
    kinds = {"fanout": "one by one", "bursts": "in bursts", "messages": "stored messages"}
    rows = [
        _costs(results, f"{kind} {size}", f"{size:,}, {title}", subject)
        for size in SIZES
        for kind, title in kinds.items()
        for subject in SUBJECTS
        if results.figure(f"{kind} {size}", subject, "us") is not None
    ]
    heads = (
        "recipients",
        "server",
        "µs CPU a delivery",
        "a CPU second",
        "deliveries/s",
        "x Node",
        "mongod µs",
        "strangers",
    )
    return _titled("Fan-out, one core", heads, rows)


def _costs(results: Results, row: str, title: str, subject: Name) -> Cells:
    us = results.figure(row, subject, "us") or 0.0
    return (
        title,
        TITLES[subject],
        f"{us:.2f}",
        f"{1e6 / us:,.0f}" if us else "-",
        _number(results.figure(row, subject, "rate"), 0),
        _number(results.ratio(row, "us", "node", subject), 2),
        _number(results.figure(row, subject, "friends") or None, 2),
        _strangers(results, row, subject),
    )


def _latency(results: Results) -> str:
    row = "at 50/s 1000"
    rows = [
        (
            TITLES[subject],
            *_values(results, row, subject, ("p50", 1), ("p99", 1), ("cpu", 0)),
            _strangers(results, row, subject),
        )
        for subject in SUBJECTS
        if results.figure(row, subject, "p99") is not None
    ]
    heads = ("server", "p50 ms", "p99 ms", "CPU %", "strangers")
    return _titled("Latency to 1,000, 50 broadcasts a second, from when each was due", heads, rows)


def _echo(results: Results) -> str:
    rows = [
        (
            TITLES[subject],
            *_values(results, "echo", subject, ("us", 1), ("rate", 0), ("p99", 1)),
            _number(results.ratio("echo", "us", "node", subject), 2),
            _strangers(results, "echo", subject),
        )
        for subject in SUBJECTS
        if results.figure("echo", subject, "us") is not None
    ]
    heads = ("server", "µs CPU", "echoes/s", "p99 ms", "x Node", "strangers")
    return _titled("Echo with ack, 100 clients", heads, rows)


def _connections(results: Results) -> str:
    rows = [
        (
            TITLES[subject],
            *_values(results, "connect", subject, ("us", 0), ("rate", 0), ("friends", 0)),
            *_values(results, "idle", subject, ("kb", 1)),
            *_values(results, "leave", subject, ("us", 0), ("in_all", 0)),
            _strangers(results, "connect", subject),
        )
        for subject in SUBJECTS
        if results.figure("connect", subject, "us") is not None
    ]
    heads = (
        "server",
        "µs CPU to join",
        "joined/s",
        "mongod µs",
        "RSS KB each",
        "µs CPU to leave",
        "with the aftermath",
        "strangers",
    )
    return _titled("10,000 connections", heads, rows)


def _bus(results: Results) -> str:
    rows = [
        (
            title,
            TITLES[subject],
            *_values(results, row, subject, ("us", 1), ("friends", 1), ("rate", 0)),
            _strangers(results, row, subject),
        )
        for row, title in (
            ("one process", "one process"),
            ("two processes", "two processes"),
            ("bus alone", "two processes, fan-out and bus alone"),
        )
        for subject in SUBJECTS
        if results.figure(row, subject, "us") is not None
    ]
    heads = ("", "server", "µs CPU a broadcast", "engines µs", "broadcasts/s", "strangers")
    return _titled("Between processes: one types, one hears it here, one there", heads, rows)


def _slow(results: Results) -> str:
    rows = [
        (
            row,
            TITLES[subject],
            *_values(results, row, subject, ("mb", 1), ("p50", 1), ("p99", 1), ("cut", 0)),
            _strangers(results, row, subject),
        )
        for row in ("all read", "100 do not read")
        for subject in SUBJECTS
        if results.figure(row, subject, "mb") is not None
    ]
    heads = ("1,000 recipients", "server", "RSS grew by MB", "p50 ms", "p99 ms", "cut off", "strangers")
    return _titled("Readers who do not read, 25 messages of 9.5 kB a second for 20 s", heads, rows)


def _values(results: Results, row: str, subject: Name, *wanted: tuple[str, int]) -> Cells:
    return [_number(results.figure(row, subject, name), digits) for name, digits in wanted]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _strangers(results: Results, row: str, subject: Name) -> str:
    share, is_dirty = results.foreign(row, subject)
    return f"{max(0.0, share):.0f} %{' ⚠' if is_dirty else ''}"


def _titled(title: str, heads: Cells, rows: Sequence[Cells]) -> str:
    return f"### {title}\n\n{_table(heads, rows)}" if rows else ""


def _table(heads: Cells, rows: Iterable[Cells]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


NOTE = f"""⚠: no run without busy strangers (over {CLEAN:.0f} % of a core); CPU times and ratios still tell,
rates and latencies do not."""
