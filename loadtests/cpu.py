"""Who uses the processor, as Linux tells it: beside busy strangers a measurement is worth little."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

OTHERS = "others"


class Cpu:
    """CPU time of some processes, and of all others together, from when it was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._since, self._started = self._now(), time.perf_counter()

    def _now(self) -> dict[str, float]:
        ours = {name: _of_process(pid) for name, pid in self._pids.items()}
        return {**ours, OTHERS: _of_machine() - sum(ours.values())}

    def shares(self) -> dict[str, float]:
        """Of one core, on average."""
        elapsed = time.perf_counter() - self._started
        return {name: max(0.0, used - self._since[name]) / elapsed for name, used in self._now().items()}


def _of_process(pid: int) -> float:
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return _seconds(fields[11:13])


def _of_machine() -> float:
    """Everything but idle and waiting for disks."""
    fields = _read("/proc/stat").partition("\n")[0].split()[1:9]
    return _seconds(fields[:3] + fields[5:])


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _seconds(ticks: list[str]) -> float:
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
