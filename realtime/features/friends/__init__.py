"""Friends: who knows whom, who asks whom, and who wants nothing to do with whom."""

from realtime.features.friends.schemas import People, Person
from realtime.features.friends.service import FriendService
from realtime.features.friends.service.acquaintances import Acquaintances, Reach
from realtime.features.friends.store import FriendBonds

__all__ = ["Acquaintances", "FriendBonds", "FriendService", "People", "Person", "Reach"]
