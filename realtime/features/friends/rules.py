"""How many friends, requests and blocks there may be, and what is said when there are more."""

from collections.abc import Generator
from contextlib import contextmanager

from common.errors import Conflict
from documents.friends import NoRoom, Room
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


_TOO_MUCH = {"friends": TooManyFriends, "requests": TooManyFriendRequests, "blocks": TooManyBlocked}


def room() -> Room:
    """What a person's friends and requests have to fit into."""
    return Room(MAX_FRIENDS, MAX_REQUESTS)


@contextmanager
def saying_what_is_too_much() -> Generator[None]:
    """Raise what people are told when there is no room."""
    try:
        yield
    except NoRoom as error:
        raise _TOO_MUCH[error.what] from None
