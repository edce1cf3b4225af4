"""The embedded engines start, stop, survive what people do to them, and never outlive us."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from common.engines import EngineFailed, EngineInUse, EngineMissing, Engines
from common.engines.ports import free_port, kept_port
from common.engines.process import EngineProcess, EngineSpec
from common.engines.shim import BoundedLog
from documents.connection import initiate_replica_set

LISTENS = """
import signal, socket, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(float(sys.argv[2]))
sys.exit("out of luck")
"""

OWNER = """
import asyncio, sys, uvloop
from pathlib import Path
from common.engines import Engines

async def main():
    async with Engines(Path(sys.argv[1]), mongo=True, redis=True) as engines:
        print(engines.mongo_pid, engines.redis_pid, flush=True)
        await asyncio.sleep(60)

uvloop.run(main())
"""


@asynccontextmanager
async def mongo(data_dir: Path) -> AsyncIterator[tuple[Engines, AsyncMongoClient[dict[str, Any]]]]:
    async with Engines(data_dir, mongo=True, redis=False) as engines:
        await initiate_replica_set(engines.mongo_url)
        async with AsyncMongoClient[dict[str, Any]](engines.mongo_url) as client:
            yield engines, client


@asynccontextmanager
async def fragile(tmp_path: Path, lives: float, **spec: Any) -> AsyncIterator[EngineProcess]:
    port = free_port()
    command = [sys.executable, "-c", LISTENS, str(port), str(lives)]
    with (tmp_path / "lock").open("w") as lock:
        engine = EngineProcess(EngineSpec("fragile", command, port, tmp_path / "log", **spec), lock.fileno())
        try:
            await engine.start()
            yield engine
        finally:
            await engine.stop()


@contextmanager
def taken(port: int) -> Iterator[None]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        yield


async def gone(pid: int, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        await asyncio.sleep(0.02)
    return False


def program(tmp_path: Path, text: str) -> str:
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


async def test_mongo_takes_transactions_at_once(tmp_path: Path) -> None:
    async with mongo(tmp_path) as (engines, client):
        await initiate_replica_set(engines.mongo_url)

        async with client.start_session() as session, await session.start_transaction():
            await client.plaza.notes.insert_one({"_id": 1}, session=session)

        assert await client.plaza.notes.count_documents({}) == 1


async def test_data_outlive_a_change_of_port(tmp_path: Path) -> None:
    async with mongo(tmp_path) as (engines, client):
        await client.plaza.notes.insert_one({"_id": 1})
        before = engines.mongo_url

    with taken(int((tmp_path / "mongo.port").read_text())):
        started = time.monotonic()
        async with mongo(tmp_path) as (engines, client):
            await client.plaza.notes.insert_one({"_id": 2})

            assert time.monotonic() - started < 15
            assert engines.mongo_url != before
            assert await client.plaza.notes.count_documents({}) == 2


async def test_the_port_stays_the_same_while_it_is_free(tmp_path: Path) -> None:
    port = kept_port(tmp_path / "port")
    assert kept_port(tmp_path / "port") == port

    with taken(port):
        assert kept_port(tmp_path / "port") != port


async def test_a_killed_mongod_comes_back_with_what_it_acknowledged(tmp_path: Path) -> None:
    async with mongo(tmp_path) as (engines, client):
        for number in range(50):
            await client.plaza.notes.insert_one({"_id": number})
        url, victim = engines.mongo_url, engines.mongo_pid
        os.kill(victim, signal.SIGKILL)

        await client.plaza.notes.insert_one({"_id": 50})

        assert (engines.mongo_url, engines.mongo_pid != victim) == (url, True)
        assert await client.plaza.notes.count_documents({}) == 51


async def test_valkey_forgets_between_runs(tmp_path: Path) -> None:
    for _ in range(2):
        async with (
            Engines(tmp_path, mongo=False, redis=True) as engines,
            Redis.from_url(engines.redis_url) as redis,
        ):
            assert await redis.get("word") is None
            await redis.set("word", "hint")
            assert (await redis.config_get("maxmemory"))["maxmemory"] != "0"


async def test_stopping_is_quick_and_leaves_nothing(tmp_path: Path) -> None:
    engines = Engines(tmp_path, mongo=True, redis=True)
    await engines.start()
    await initiate_replica_set(engines.mongo_url)
    pids = engines.mongo_pid, engines.redis_pid
    started = time.monotonic()

    await engines.stop()
    await engines.stop()

    assert time.monotonic() - started < 5
    assert [await gone(pid, 0.1) for pid in pids] == [True, True]
    assert '"exitCode":0' in (tmp_path / "mongo.log").read_text()


async def test_engines_stop_when_their_owner_is_killed(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    pids = [int(pid) for pid in (await owner.stdout.readline()).split()]
    assert len(pids) == 2

    owner.kill()

    async with Engines(tmp_path, mongo=True, redis=True):
        assert [await gone(pid, 0.1) for pid in pids] == [True, True]
    await owner.wait()


async def test_an_engine_is_replaced_when_its_shim_is_killed(tmp_path: Path) -> None:
    async with fragile(tmp_path, lives=60, back_off=(0.0,), grace=0.1) as engine:
        orphan = engine.pid
        os.kill(os.getpgid(orphan), signal.SIGKILL)

        while engine.pid == orphan:  # both want the same port, so the orphan is gone by then
            await asyncio.sleep(0.02)


async def test_an_engine_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    async with fragile(tmp_path, lives=60, grace=0.2) as engine:
        pass

    assert await gone(engine.pid, 0.1)


async def test_an_engine_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    async with fragile(tmp_path, lives=0.1, back_off=(0.0,) * 5) as engine:
        assert engine.keeper is not None
        failure = await engine.keeper

    assert str(failure).startswith("fragile died 6 times in a row")
    assert "out of luck" in str(failure)


async def test_a_data_directory_has_one_owner(tmp_path: Path) -> None:
    async with Engines(tmp_path, mongo=False, redis=True):
        with pytest.raises(EngineInUse, match=f"is in use by process {os.getpid()}$"):
            await Engines(tmp_path, mongo=False, redis=True).start()

    async with Engines(tmp_path, mongo=False, redis=True):
        pass


async def test_no_engine_needs_no_data_directory(tmp_path: Path) -> None:
    async with Engines(tmp_path / "never", mongo=False, redis=False) as engines:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engines.failed(), 0.05)

    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(("engine", "name"), [("mongo", "mongod"), ("redis", "valkey-server")])
async def test_a_missing_program_is_one_clear_line(
    engine: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])
    engines = Engines(tmp_path, mongo=engine == "mongo", redis=engine == "redis")

    with pytest.raises(EngineMissing, match=rf"^{name} is missing: pip install 'plaza\[embedded\]'.*$"):
        await engines.start()


async def test_a_wrong_name_in_the_environment_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAZA_MONGOD", "/nowhere/mongod")

    with pytest.raises(EngineMissing, match="PLAZA_MONGOD names /nowhere/mongod, which is not a program"):
        await Engines(tmp_path, mongo=True, redis=False).start()


async def test_a_missing_library_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "error while loading shared libraries: libcurl.so.4: cannot open shared object file: No such file"
    monkeypatch.setenv("PLAZA_MONGOD", program(tmp_path, f"echo '{words}' >&2; exit 127"))

    with pytest.raises(
        EngineFailed, match=r"the shared library libcurl\.so\.4 is missing: apt install libcurl4$"
    ):
        await Engines(tmp_path, mongo=True, redis=False).start()


async def test_a_refusal_to_start_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAZA_MONGOD", program(tmp_path, "echo 'no room here'; exit 3"))

    with pytest.raises(EngineFailed, match=r"^mongod ended with status 3: no room here \(.*mongo\.log\)$"):
        await Engines(tmp_path, mongo=True, redis=False).start()


async def test_a_log_has_an_end(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "log", limit=1000)
    for number in range(100):
        log.write(f"{number:>49}\n".encode())

    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2 and sum(sizes) <= 2000
    assert (tmp_path / "log").read_text().endswith("99\n")
