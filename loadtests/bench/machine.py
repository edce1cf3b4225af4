# pyright: strict
"""The machine: which core is whose, a network of our own, and what to say of it in a report."""

import ctypes
import fcntl
import os
import platform
import re
import resource
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
UNPACED = ("cubic", "reno")
"""Congestion control that does not pace: pacing makes small writes on loopback come in two speeds."""
ALL = os.sched_getaffinity(0) if sys.platform == "linux" else set[int]()
NET = Path("/proc/sys/net")


@dataclass(frozen=True)
class Cores:
    """Who runs where; None: wherever the kernel likes."""

    server: int | None
    generator: int | None

    def pin_server(self) -> Callable[[], None]:
        """What a child that is a server does before it becomes one."""
        return lambda: _settle(self.server)

    def pin_generator(self) -> None:
        """Let this process, and whatever it starts, have the other core."""
        if self.generator is not None:
            os.sched_setaffinity(0, {self.generator})


def _settle(core: int | None) -> None:
    """Die with the parent, have as many descriptors as may be, stay on one core."""
    pr_set_pdeathsig, sigkill = 1, 9
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, sigkill)
    os.sched_setaffinity(0, {core} if core is not None else ALL)


def find_cores() -> Cores:
    """The first two cores that we may use."""
    mine = sorted(os.sched_getaffinity(0))
    return Cores(mine[0], mine[1]) if len(mine) > 1 else Cores(None, None)


def raise_descriptors() -> int:
    """As many open files as the system allows, for us and our children; how many that is."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def isolate() -> str:
    """Move this process into a network of its own; says what became of it. Before any thread is started."""
    if sys.platform != "linux" or ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return f"plain loopback (no private network permitted), {_congestion_control()}"
    _loopback_up()
    _put("ipv4/ip_local_port_range", "1024 65535")
    _put("core/somaxconn", "65535")
    chosen = next((name for name in UNPACED if _put("ipv4/tcp_congestion_control", name)), None)
    paced = "" if chosen else " (it could not be changed)"
    return f"private network namespace, loopback, {_congestion_control()}{paced}"


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack("16xh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, asked))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def _put(name: str, value: str) -> bool:
    try:
        (NET / name).write_text(value)
    except OSError:
        return False
    return True


def _congestion_control() -> str:
    try:
        return (NET / "ipv4/tcp_congestion_control").read_text().strip()
    except OSError:
        return "unknown congestion control"


def describe() -> str:
    """The machine in one line, without its name."""
    names = re.findall(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = int((re.findall(r"^MemTotal:\s+(\d+)", _read("/proc/meminfo"), re.MULTILINE) or ["0"])[0])
    kind = names[0] if names else platform.machine()
    kernel = re.match(r"[\d.]*\d", platform.release())
    return f"{len(ALL)} x {kind}, {memory / 2**20:.0f} GiB, {platform.system()} {kernel[0] if kernel else ''}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; 0 for one that is gone."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()[11:13]
    return sum(map(int, fields)) / os.sysconf("SC_CLK_TCK")
