"""What people can do with groups, and how everyone concerned hears of it."""

from realtime.features.groups.service.groups import GroupService

__all__ = ["GroupService"]
