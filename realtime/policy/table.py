"""The truth table: verb and relation, and where it matters the person's privacy, decide.

A relation is what the viewer is to the person. `BANNED` and `NOT_APPROVED` are people who do not take part:
nobody sees them, and they see nobody, for whoever does not take part is refused before any verb is asked.
"""

from enum import StrEnum
from typing import Literal

from realtime.policy.verbs import Verb

Privacy = Literal["public", "friends", "private"]


class Relation(StrEnum):
    """What a viewer is to a person. A block outweighs everything, also being an administrator.

    An administrator who is a friend, or has asked, may do what either may.
    """

    SELF = "self"
    FRIEND = "friend"
    PENDING = "pending"
    """One of the two has asked the other."""
    STRANGER = "stranger"
    BLOCKING = "blocking"
    """The viewer has blocked the person; also when both did, for nobody can tell that from this."""
    BLOCKED_BY = "blocked_by"
    """The person has blocked the viewer."""
    ADMIN = "admin"
    """The viewer is an administrator."""
    BANNED = "banned"
    """The person does not take part any more, or for a while."""
    NOT_APPROVED = "not_approved"
    """The person does not take part yet, or was turned down."""


class Outcome(StrEnum):
    """What comes of it, the best first."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    """403: the person is there, and does not show or allow this."""
    ABSENT = "absent"
    """404, word for word as for somebody who does not exist."""


class Grant(StrEnum):
    """A cell of the table."""

    YES = "yes"
    PUBLIC = "public"
    """Only if the person's privacy is `public`."""
    NOT_PRIVATE = "not_private"
    """Unless the person's privacy is `private`."""
    NO = "no"
    NEVER = "absent"


_Y, _P, _N, _O, _X = Grant.YES, Grant.PUBLIC, Grant.NOT_PRIVATE, Grant.NO, Grant.NEVER

_PEOPLE = (
    Relation.SELF,
    Relation.FRIEND,
    Relation.PENDING,
    Relation.STRANGER,
    Relation.ADMIN,
    Relation.BLOCKING,
    Relation.BLOCKED_BY,
    Relation.BANNED,
    Relation.NOT_APPROVED,
)

# In the order of _PEOPLE. Blocked looks like absent; only taking a block back and reporting outlast it.
# What was said to each other before somebody was banned stays readable.
_ROWS: dict[Verb, tuple[Grant, ...]] = {
    Verb.SEE_PROFILE: (_Y, _Y, _Y, _Y, _Y, _X, _X, _X, _X),
    Verb.SEE_DETAILS: (_Y, _N, _P, _P, _Y, _X, _X, _X, _X),
    Verb.SEARCH: (_N, _N, _N, _N, _N, _X, _X, _X, _X),
    Verb.SEE_FRIENDS: (_Y, _N, _P, _P, _P, _X, _X, _X, _X),
    Verb.SEE_PRESENCE: (_Y, _N, _O, _O, _O, _X, _X, _X, _X),
    Verb.SEE_LAST_SEEN: (_Y, _N, _O, _O, _O, _X, _X, _X, _X),
    Verb.BEFRIEND: (_O, _Y, _Y, _Y, _Y, _X, _X, _X, _X),
    Verb.BLOCK: (_O, _Y, _Y, _Y, _Y, _Y, _X, _X, _X),
    Verb.UNBLOCK: (_O, _Y, _Y, _Y, _Y, _Y, _X, _X, _X),
    Verb.REPORT: (_O, _Y, _Y, _Y, _Y, _Y, _X, _X, _X),
    Verb.MESSAGE: (_O, _Y, _Y, _Y, _Y, _X, _X, _X, _X),
    Verb.SEE_CHAT: (_X, _Y, _Y, _Y, _Y, _X, _X, _Y, _Y),
    Verb.ADD_TO_GROUP: (_O, _Y, _Y, _Y, _Y, _X, _X, _X, _X),
    Verb.SEE_TYPING: (_Y, _Y, _Y, _Y, _Y, _X, _X, _X, _X),
    Verb.SEE_RECEIPTS: (_Y, _Y, _Y, _Y, _Y, _X, _X, _X, _X),
    Verb.CALL: (_O, _Y, _P, _P, _P, _X, _X, _X, _X),
    Verb.INVITE_TO_ROOM: (_O, _Y, _P, _P, _P, _X, _X, _X, _X),
    Verb.SEE_POSTS: (_Y, _N, _P, _P, _P, _X, _X, _X, _X),
    Verb.SEE_STORY: (_Y, _N, _P, _P, _P, _X, _X, _X, _X),
    Verb.MENTION: (_Y, _Y, _N, _N, _N, _X, _X, _X, _X),
    Verb.INVITE_TO_EVENT: (_O, _Y, _N, _N, _N, _X, _X, _X, _X),
    Verb.SEE_EVENT: (_Y, _Y, _Y, _Y, _Y, _X, _X, _X, _X),
    Verb.MATCH: (_O, _Y, _N, _N, _N, _X, _X, _X, _X),
    Verb.RATE: (_O, _Y, _Y, _Y, _Y, _X, _X, _X, _X),
    Verb.SEE_RATINGS: (_Y, _Y, _P, _P, _Y, _X, _X, _X, _X),
    Verb.SEE_MEDIA: (_Y, _N, _P, _P, _Y, _X, _X, _X, _X),
    Verb.NOTIFY: (_Y, _Y, _Y, _Y, _Y, _X, _X, _X, _X),
    Verb.PUSH: (_Y, _Y, _Y, _Y, _Y, _X, _X, _X, _X),
}

TABLE: dict[Verb, dict[Relation, Grant]] = {
    verb: dict(zip(_PEOPLE, grants, strict=True)) for verb, grants in _ROWS.items()
}

WALLED: frozenset[Verb] = frozenset(
    verb
    for verb, row in TABLE.items()
    if {row[one] for one in (Relation.FRIEND, Relation.PENDING, Relation.STRANGER, Relation.ADMIN)} == {_Y}
)
"""Verbs about a person that depend on blocks and on standing only, not on friendship or privacy."""


def decide(verb: Verb, relation: Relation, privacy: Privacy = "public") -> Outcome:
    """What comes of a verb about a person; `KeyError` for a verb that is about nobody in particular."""
    grant = TABLE[verb][relation]
    if grant is Grant.NEVER:
        return Outcome.ABSENT
    granted = (
        grant is Grant.YES
        or (grant is Grant.PUBLIC and privacy == "public")
        or (grant is Grant.NOT_PRIVATE and privacy != "private")
    )
    return Outcome.ALLOWED if granted else Outcome.REFUSED
