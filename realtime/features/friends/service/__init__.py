"""What people do with each other, and how they hear of it."""

from realtime.features.friends.service.friends import FriendService

__all__ = ["FriendService"]
