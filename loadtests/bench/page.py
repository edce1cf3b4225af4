# pyright: strict
"""docs/performance.md: how it was measured, the goals and all figures; parts that others measure stay."""

import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata

from common.engines.binaries import find_mongod, find_valkey
from loadtests.bench import machine, nodejs, report
from loadtests.bench.generator import find_compiler
from loadtests.bench.processes import ROOT
from loadtests.bench.results import Results
from loadtests.bench.subjects import SETTINGS

PAGE = ROOT / "docs" / "performance.md"
Part = tuple[str, str]
"""The lines around a part that is written by itself."""

MANY: Part = ("<!-- many connections: begin -->", "<!-- many connections: end -->")
SEARCH: Part = ("<!-- search: begin -->", "<!-- search: end -->")
UPLOADS: Part = ("<!-- uploads: begin -->", "<!-- uploads: end -->")
FILES: Part = ("<!-- files: begin -->", "<!-- files: end -->")
PACKAGES = ("python-socketio", "python-engineio", "aiohttp", "uvloop", "orjson", "pymongo")

ABOUT = """# Performance

`make bench` measures this and writes this page; `make bench ARGS="--connections 100000"` writes the part on
many connections, `make bench-search` the one on search, `make upload-load` and `make bench-media` those on
uploads and files. Everything runs here and now, in interleaved rounds:
Plaza, Node's socket.io, stock python-socketio, and a C server that calls `send()` once for each delivery,
which is as little as one core can do with a call for each. (Where the kernel offers io_uring, Plaza does many
with one call, and can do with less.)

Plaza is the server that anybody runs: `python -m realtime serve` in production, real accounts, tokens that
are verified, a real group conversation, and the real commands `typing`, `send_message` and `ping`. The peers
say frames of the same size and shape; Node verifies the same tokens; neither peer stores anything. The server
has one core; generator, MongoDB and Redis have the other. The generator is `loadtests/bench/generator/`.

The figure that counts is **CPU time of the server process per operation** (user and system), the median of
the rounds: neighbours do not change it much, and *deliveries a CPU second* is its inverse. *One by one*: a
broadcast begins when everybody has heard the one before, so nothing can be joined. *In bursts*: two
broadcasts are under way at once (eight to 100 recipients), and what a tick brings for one socket may go out
in one write. Latencies count from when a broadcast was due. *With the aftermath*: all that a server does in
the eight seconds after its clients left. Loopback: the receiver's half of TCP runs on the sender's time, also
in the C server's figures.
"""


def write(results: Results, network: str, node: str, rounds: int) -> None:
    """Write the page anew, but for the parts that are measured by themselves."""
    parts = [
        ABOUT,
        f"## Goals\n\n{report.goals(results)}",
        f"## Figures\n\n{report.figures(results)}\n\n{report.NOTE}\n\n{report.faults(results)}",
        f"## Conditions\n\n{conditions(network, node, rounds)}",
        *("\n".join((part[0], _kept(part), part[1])) for part in (MANY, SEARCH, UPLOADS, FILES)),
    ]
    PAGE.write_text("\n\n".join(part.strip("\n") for part in parts) + "\n")


def write_many(results: Results, network: str) -> None:
    """Put the figures of many connections into the page."""
    write_part(MANY, many(results, network))


def write_part(part: Part, text: str) -> None:
    """Put a part into the page, in the place of the one before."""
    page = PAGE.read_text() if PAGE.exists() else f"{ABOUT}\n"
    if part[0] not in page:
        page = f"{page}\n{part[0]}\n{part[1]}\n"
    before, _, rest = page.partition(part[0])
    _, _, after = rest.partition(part[1])
    PAGE.write_text(f"{before}{part[0]}\n{text}\n{part[1]}{after}")


def _kept(part: Part) -> str:
    page = PAGE.read_text() if PAGE.exists() else ""
    _, _, rest = page.partition(part[0])
    return rest.partition(part[1])[0].strip("\n")


def many(results: Results, network: str) -> str:
    """The part on many connections."""
    titles = {
        "connections": "connections at once",
        "processes": "processes",
        "lost": "lost",
        "heartbeats": "heartbeats answered",
        "turned_away": "told to come back later, and did",
        "rate": "joined a second",
        "kb": "RSS of all processes per connection, KB",
        "broadcasts": "broadcasts to all, each heard by everybody",
        "p50": "p50 of a broadcast, ms",
        "p99": "p99 of a broadcast, ms",
        "max": "the last one to hear, ms",
    }
    found = [(title, results.figure("crowd", "plaza", name)) for name, title in titles.items()]
    lines = [
        f"| {title} | {value:,.{1 if title.endswith('KB') else 0}f} |"
        for title, value in found
        if value is not None
    ]
    where = f"{machine.describe()}; {network}. One group of 5,000 with 20 devices each, one Redis."
    where += (
        "\n`PLAZA_LIMITS__SOCKETS_PER_USER` is as large as that needs; servers and generator share all cores."
    )
    return "\n".join(("## Many connections", "", where, "", "| | |", "| --- | --- |", *lines))


def conditions(network: str, node: str, rounds: int) -> str:
    """The machine, the versions and the settings."""
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    engines = ", ".join(
        _first_line([str(program), "--version"]) for program in (find_mongod(), find_valkey())
    )
    lines = [
        f"- {machine.describe()}; {network}; {rounds} rounds",
        f"- Python {platform.python_version()}, {packages}",
        f"- {nodejs.versions(node)}",
        f"- {engines}; {_first_line([find_compiler(), '--version'])}",
        f"- Settings beside the necessary ones: {_settings(SETTINGS)}",
    ]
    return "\n".join(lines)


def _settings(settings: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in settings.items())


def _first_line(command: list[str]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return said.strip().partition("\n")[0]
