# pyright: strict
"""The tables: what was aimed at and what was reached, and every figure beside the peers'."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtests.bench.results import CLEAN, Results
from loadtests.bench.subjects import TITLES, Name

Cells = Sequence[str]

SUBJECTS: tuple[Name, ...] = ("plaza", "node", "node-open", "stock", "limit")
SIZES = (1000, 5000, 100)
DOUBT = " ⚠"


Proof = tuple[tuple[str, Name], ...]


@dataclass(frozen=True)
class Aim:
    """One goal: what was found, where, and whether that is enough (`at_least`) or little enough."""

    what: str
    found: float | None
    bound: float
    proof: Proof
    unit: str = " x"
    at_least: bool = True

    @property
    def reached(self) -> bool | None:
        if self.found is None:
            return None
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    def cells(self, results: Results) -> Cells:
        sign = "≥" if self.at_least else "≤"
        doubt = DOUBT if any(results.foreign(*runs)[1] for runs in self.proof) else ""
        return (
            self.what,
            f"{sign} {self.bound:g}{self.unit}",
            f"{_number(self.found, 2)}{self.unit}{doubt}",
            self._verdict(results),
        )

    def _verdict(self, results: Results) -> str:
        """A figure of runs that lost something proves nothing."""
        if any(results.went_wrong(*runs) for runs in self.proof):
            return "**void**, see what went wrong"
        return "reached" if self.reached else "**missed**"


def aims(results: Results) -> list[Aim]:
    """The goals, with ratios of CPU time where there is a peer."""
    node, anybody = "connect: CPU, Node that verifies a token", "connect: CPU, Node that lets anybody in"
    across = "between two processes: CPU of both per broadcast"
    return [
        *_fanouts(results),
        _sooner(results),
        _cheaper(results, "echo with ack: CPU, Node", "echo", "node", 1.0),
        _little(results, "idle connection, authenticated: RSS", ("idle", "kb"), 8.0, " KB"),
        _cheaper(results, node, "connect", "node", 1.2),
        _cheaper(results, anybody, "connect", "node-open", 1.2),
        _little(results, "10,000 leave at once: CPU each", ("leave", "us"), 50.0, " µs"),
        _little(results, f"{across}, fan-out and bus", ("bus alone", "us"), 35.0, " µs"),
        _little(results, f"{across}, with command and sockets", ("two processes", "us"), 35.0, " µs"),
        _little(results, "100 of 1,000 do not read: RSS grows by", ("100 do not read", "mb"), 20.0, " MB"),
        _unmoved(results),
    ]


def _fanouts(results: Results) -> list[Aim]:
    found: list[Aim] = []
    for size in (1000, 5000):
        row, said = f"fanout {size}", f"fan-out to {size:,}: CPU,"
        found.append(_cheaper(results, f"{said} Node", row, "node", 2.0))
        found.append(_cheaper(results, f"{said} C `send()` limit", row, "limit", 0.9))
    for size in sorted(SIZES):
        said = f"bursts to {size:,}: CPU, Node"
        found.append(_cheaper(results, said, f"bursts {size}", "node", 3.5))
    return found


def _cheaper(results: Results, what: str, row: str, peer: Name, bound: float) -> Aim:
    """How many times the CPU of Plaza a peer needs."""
    found = results.ratio(row, "us", peer, "plaza")
    return Aim(f"{what} to Plaza", found, bound, ((row, "plaza"), (row, peer)))


def _little(results: Results, what: str, figure: tuple[str, str], bound: float, unit: str) -> Aim:
    row, value = figure
    found = results.figure(row, "plaza", value)
    return Aim(what, found, bound, ((row, "plaza"),), unit, at_least=False)


def _sooner(results: Results) -> Aim:
    row = "at 50/s 1000"
    found = results.ratio(row, "p99", "plaza", "node")
    proof: Proof = ((row, "plaza"), (row, "node"))
    return Aim("p99 at 1,000 x 50/s: Plaza to Node", found, 0.65, proof, at_least=False)


def _unmoved(results: Results) -> Aim:
    calm, tried = (results.figure(row, "plaza", "p99") for row in ("all read", "100 do not read"))
    proof: Proof = (("all read", "plaza"), ("100 do not read", "plaza"))
    found = tried / calm if tried is not None and calm else None
    return Aim("100 of 1,000 do not read: the others' p99", found, 1.2, proof, at_least=False)


def goals(results: Results) -> str:
    """The goals as a table."""
    measured = [aim.cells(results) for aim in aims(results) if aim.found is not None]
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
    return f"{max(0.0, share):.0f} %{DOUBT if is_dirty else ''}"


def _titled(title: str, heads: Cells, rows: Sequence[Cells]) -> str:
    return f"### {title}\n\n{_table(heads, rows)}" if rows else ""


def _table(heads: Cells, rows: Iterable[Cells]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


NOTE = f"""⚠: no run without busy strangers (over {CLEAN:.0f} % of a core); CPU times and ratios still tell,
rates and latencies do not."""


def faults(results: Results) -> str:
    """What went wrong, as a list."""
    found = results.faults()
    return "\n".join(("### What went wrong", "", *(f"- {fault}" for fault in found))) if found else ""
