"""The per-person log: every change that is not a message, in order, for as long as it may be asked for."""

from realtime.features.updates.service import UpdateService

__all__ = ["UpdateService"]
