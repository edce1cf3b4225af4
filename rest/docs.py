"""The API documents as files: `python -m realtime docs`."""

from pathlib import Path

import orjson

from common.settings import Settings
from realtime.bootstrap import describe_commands
from rest.app import all_routes
from rest.manuals import Manuals
from rest.policies import render_policy
from rest.schemas import Json


def write_docs(directory: Path) -> None:
    """Write `openapi.json`, `asyncapi.json` and `policy.md`. Nothing is started, nothing is connected."""
    settings = Settings()
    commands = describe_commands(settings)
    manuals = Manuals(all_routes(), commands, settings.public_url)
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "openapi.json", manuals.openapi())
    _write(directory / "asyncapi.json", manuals.asyncapi())
    (directory / "policy.md").write_text(render_policy(all_routes(), commands), "utf-8")


def _write(path: Path, document: Json) -> None:
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    path.write_bytes(orjson.dumps(document, option=options))
