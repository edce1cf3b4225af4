"""What can go wrong with an engine, each as one line a person can act on."""


class EngineError(Exception):
    """Any trouble with an embedded engine."""


class EngineMissing(EngineError):
    """The program is nowhere to be found."""


class EngineInUse(EngineError):
    """Another process runs the engines of this data directory."""


class EngineFailed(EngineError):
    """The engine did not start, or died too often."""
