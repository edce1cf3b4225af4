"""`Engines`: the embedded MongoDB, Valkey and S3 server of one data directory."""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Self

from common.engines.binaries import find_mongod, find_rclone, find_valkey
from common.engines.errors import EngineFailed
from common.engines.lock import DataLock
from common.engines.ports import LOOPBACK, answers, kept_port
from common.engines.process import EngineProcess, EngineSpec

REPLICA_SET = "plaza"
_MONGO_PORT, _REDIS_PORT, _S3_PORT = "mongo.port", "redis.port", "s3.port"
_OPLOG_MB = 256
_REDIS_MEMORY = "256mb"
S3_ACCESS_KEY, S3_SECRET_KEY = "embedded", "known-to-everybody"
"""Of a server that listens on loopback and is there for tests."""


class Engines:
    """Runs the engines asked for and owns their data directory; no other process may use it meanwhile.

    MongoDB starts as a member of a replica set that `documents.connection.initiate_replica_set` makes or
    mends. Everything listens on loopback only. The engines stop with us, also when we are killed.
    """

    def __init__(
        self, data_dir: Path, *, mongo: bool, redis: bool, s3: bool = False, cache_gb: float = 0.25
    ) -> None:
        self._data_dir, self._cache_gb = data_dir, cache_gb
        self._wants_mongo, self._wants_redis, self._wants_s3 = mongo, redis, s3
        self._lock = DataLock(data_dir)
        self._mongo: EngineProcess | None = None
        self._redis: EngineProcess | None = None
        self._s3: EngineProcess | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def mongo_url(self) -> str:
        return _mongo_url(_started(self._mongo).port)

    @property
    def redis_url(self) -> str:
        return _redis_url(_started(self._redis).port)

    @property
    def s3_url(self) -> str:
        """An S3 server whose buckets are the folders below `s3` in the data directory."""
        return f"http://{LOOPBACK}:{_started(self._s3).port}"

    @property
    def s3_pid(self) -> int:
        return _started(self._s3).pid

    @property
    def mongo_pid(self) -> int:
        return _started(self._mongo).pid

    @property
    def redis_pid(self) -> int:
        return _started(self._redis).pid

    @classmethod
    def mongo_url_in(cls, data_dir: Path) -> str:
        """Where the MongoDB of a data directory listens that another process runs."""
        return _mongo_url(_port_in(data_dir / _MONGO_PORT))

    @classmethod
    async def running_in(cls, data_dir: Path, seconds: float) -> tuple[str, str]:
        """Where MongoDB and Valkey listen that another process runs or is about to; waits for them."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(FileNotFoundError, ValueError):
                mongo, redis = _port_in(data_dir / _MONGO_PORT), _port_in(data_dir / _REDIS_PORT)
                if await answers(mongo) and await answers(redis):
                    return _mongo_url(mongo), _redis_url(redis)
            if time.monotonic() > deadline:
                raise EngineFailed(f"no engines run in {data_dir}: start `python -m realtime engines`")
            await asyncio.sleep(0.1)

    async def start(self) -> None:
        """Return once every engine answers; raises an `EngineError`."""
        if not (self._wants_mongo or self._wants_redis or self._wants_s3):
            return
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._lock.acquire()
        try:
            if self._wants_mongo:
                self._mongo = EngineProcess(self._mongo_spec(), self._lock.descriptor)
                await self._mongo.start()
            if self._wants_redis:
                self._redis = EngineProcess(self._redis_spec(), self._lock.descriptor)
                await self._redis.start()
            if self._wants_s3:
                self._s3 = EngineProcess(self._s3_spec(), self._lock.descriptor)
                await self._s3.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop every engine and let go of the data directory; doing it twice is harmless."""
        try:
            await asyncio.gather(*(engine.stop() for engine in self._engines()))
        finally:
            self._mongo = self._redis = self._s3 = None
            self._lock.release()

    async def failed(self) -> EngineFailed:
        """Wait until an engine is beyond help: restarted five times in a row and dead again."""
        keepers = [engine.keeper for engine in self._engines() if engine.keeper is not None]
        if not keepers:
            await asyncio.Event().wait()
        done, _ = await asyncio.wait(keepers, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()

    def _engines(self) -> list[EngineProcess]:
        return [engine for engine in (self._mongo, self._redis, self._s3) if engine is not None]

    def _mongo_spec(self) -> EngineSpec:
        port = kept_port(self._data_dir / _MONGO_PORT)
        folder = self._folder("mongo")
        command = [
            str(find_mongod()),
            "--dbpath",
            folder,
            "--replSet",
            REPLICA_SET,
            "--noscripting",
            "--quiet",
        ]
        command += ["--bind_ip", LOOPBACK, "--port", str(port), "--nounixsocket"]
        command += ["--networkMessageCompressors", "disabled", "--oplogSize", str(_OPLOG_MB)]
        command += ["--wiredTigerCacheSizeGB", str(self._cache_gb)]
        command += ["--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=16MB)"]
        command += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
        return EngineSpec("mongod", command, port, self._data_dir / "mongo.log")

    def _redis_spec(self) -> EngineSpec:
        port, folder = kept_port(self._data_dir / _REDIS_PORT), self._folder("redis")
        command = [
            str(find_valkey()),
            "--dir",
            folder,
            "--daemonize",
            "no",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        command += ["--bind", LOOPBACK, "--port", str(port)]
        command += ["--maxmemory", _REDIS_MEMORY, "--maxmemory-policy", "volatile-lru"]
        return EngineSpec("valkey-server", command, port, self._data_dir / "redis.log")

    def _s3_spec(self) -> EngineSpec:
        port, folder = kept_port(self._data_dir / _S3_PORT), self._folder("s3")
        command = [str(find_rclone()), "serve", "s3", folder, "--addr", f"{LOOPBACK}:{port}"]
        command += ["--auth-key", f"{S3_ACCESS_KEY},{S3_SECRET_KEY}", "--config", ""]
        return EngineSpec("rclone", command, port, self._data_dir / "s3.log")

    def _folder(self, name: str) -> str:
        folder = self._data_dir / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return str(folder)


def _mongo_url(port: int) -> str:
    return f"mongodb://{LOOPBACK}:{port}/?replicaSet={REPLICA_SET}"


def _redis_url(port: int) -> str:
    return f"redis://{LOOPBACK}:{port}/0"


def _port_in(file: Path) -> int:
    return int(file.read_text())


def _started(engine: EngineProcess | None) -> EngineProcess:
    if engine is None:
        raise RuntimeError("this engine is not running")
    return engine
