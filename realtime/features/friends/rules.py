"""How many friends, requests and blocks there may be, and what is said when there are more."""

from common.errors import Conflict
from realtime.policy import Refused

MAX_FRIENDS = 5000
MAX_REQUESTS = 1000
MAX_BLOCKED = 5000


class FriendsHidden(Refused):
    code, text = "friends_hidden", "This person does not show their friends."


class TooManyFriends(Conflict):
    code, text = "too_many_friends", f"At most {MAX_FRIENDS} friends are possible."


class TooManyFriendRequests(Conflict):
    code, text = "too_many_friend_requests", f"At most {MAX_REQUESTS} requests can wait for an answer."


class TooManyBlocked(Conflict):
    code, text = "too_many_blocked", f"At most {MAX_BLOCKED} people can be blocked."


def require_room(friends: int, waiting: int = 0) -> None:
    """Refuse one friend or one request too many."""
    if friends >= MAX_FRIENDS:
        raise TooManyFriends
    if waiting >= MAX_REQUESTS:
        raise TooManyFriendRequests


def require_room_for_block(blocked: int) -> None:
    if blocked >= MAX_BLOCKED:
        raise TooManyBlocked
