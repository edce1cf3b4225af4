"""Groups: making them, and who belongs to them in which role."""

from realtime.features.groups.service import GroupService

__all__ = ["GroupService"]
