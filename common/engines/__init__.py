"""Embedded engines: a real MongoDB, Valkey and S3 server as our children, for laptops, tests and CI.

`Engines` is the door. Each engine runs under `shim.py`, which outlives us just long enough to stop it.
"""

from common.engines.engines import Engines
from common.engines.errors import EngineError, EngineFailed, EngineInUse, EngineMissing

__all__ = ["EngineError", "EngineFailed", "EngineInUse", "EngineMissing", "Engines"]
