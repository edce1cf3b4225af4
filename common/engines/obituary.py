"""Why an engine ended, in one line, from what it said last."""

import re
import signal
from pathlib import Path

_TAIL = 8192
_MISSING_LIBRARY = re.compile(r"(?:loading shared libraries|Library not loaded): ([^\s:]+)")
_TROUBLE = re.compile(r'"s":"[EF]"')
_DEBIAN_PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
}


def explain(engine: str, status: int, log: Path, start: int) -> str:
    """Read `log` from `start`, where this run began; a missing library is named with its package."""
    said = _tail(log, start)
    missing = _MISSING_LIBRARY.search(said)
    if missing is None:
        return f"{engine} ended with {_how(status)}: {_telling_line(said)} ({log})"
    library = missing[1]
    package = _DEBIAN_PACKAGES.get(Path(library).name)
    remedy = f"apt install {package}" if package else "install the package that carries it"
    return f"{engine} cannot start, the shared library {library} is missing: {remedy}"


def _how(status: int) -> str:
    """The shim passes a signal on as shells do."""
    number = -status if status < 0 else status - 128
    known = [known.name for known in signal.Signals if known.value == number]
    return known[0] if known else f"status {status}"


def _tail(log: Path, start: int) -> str:
    try:
        content = log.read_bytes()
    except OSError:
        return ""
    ours = content[start:] if len(content) >= start else content
    return ours[-_TAIL:].decode(errors="replace")


def _telling_line(said: str) -> str:
    """The last line that speaks of trouble, in mongod's way of saying so, else the last line."""
    lines = said.strip().splitlines() or ["it said nothing"]
    trouble = [line for line in lines if _TROUBLE.search(line)]
    return (trouble or lines)[-1][:300]
