"""The truth table: verb and relation, and where it matters the person's privacy, decide.

A relation is what the viewer is to the person. `BANNED` and `NOT_APPROVED` are people who do not take part:
nobody sees them, and they see nobody, for whoever does not take part is refused before any verb is asked.
"""

from enum import StrEnum
from typing import Literal

from realtime.policy.verbs import Verb
from realtime.policy.words import Word

Privacy = Literal["public", "friends", "private"]


class Relation(Word):
    """What a viewer is to a person. A block outweighs everything, also being an administrator."""

    SELF = "self", "The viewer is this person."
    FRIEND = "friend", "Both have agreed."
    PENDING = "pending", "One of the two has asked the other."
    STRANGER = "stranger", "Nothing is between the two."
    ADMIN = "admin", "The viewer is an administrator; one who is a friend, too, may do what either may."
    BLOCKING = (
        "blocking",
        "The viewer has blocked the person; also when both did, for nobody can tell that from this.",
    )
    BLOCKED_BY = "blocked_by", "The person has blocked the viewer."
    BANNED = "banned", "The person does not take part for a while, or any more."
    NOT_APPROVED = "not_approved", "The person does not take part yet, was turned down, or is leaving."


class Outcome(StrEnum):
    """What comes of it, the best first."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    """403: the person is there, and does not show or allow this."""
    ABSENT = "absent"
    """404, word for word as for somebody who does not exist."""


class Grant(Word):
    """A cell of the table."""

    YES = "yes", "Allowed."
    PUBLIC = "public", "Allowed if what the person has chosen for it is `public`, else refused."
    NOT_PRIVATE = "unless private", "Allowed unless what the person has chosen for it is `private`."
    NO = "no", "Refused with 403; with 422 where it makes no sense of oneself."
    NEVER = "absent", "404, word for word as for somebody who does not exist."


_Y, _P, _N, _O, _X = Grant.YES, Grant.PUBLIC, Grant.NOT_PRIVATE, Grant.NO, Grant.NEVER

# In the order of `Relation`. Blocked looks like absent; only taking a block back and reporting outlast it.
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
    Verb.REPORT: (_X, _Y, _Y, _Y, _Y, _Y, _X, _X, _X),
    Verb.MESSAGE: (_O, _Y, _Y, _Y, _Y, _X, _X, _X, _X),
    Verb.SEE_CHAT: (_X, _Y, _Y, _Y, _Y, _X, _X, _Y, _Y),
    Verb.ADD_TO_GROUP: (_Y, _Y, _Y, _Y, _Y, _X, _X, _X, _X),
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
    verb: dict(zip(Relation, grants, strict=True)) for verb, grants in _ROWS.items()
}

WALLED: frozenset[Verb] = frozenset(
    verb
    for verb, row in TABLE.items()
    if {row[one] for one in (Relation.FRIEND, Relation.PENDING, Relation.STRANGER, Relation.ADMIN)} == {_Y}
)
"""Verbs about a person that depend on blocks and on standing only, not on friendship or privacy."""


APPROACHES = frozenset(
    {
        Verb.BEFRIEND,
        Verb.MESSAGE,
        Verb.ADD_TO_GROUP,
        Verb.CALL,
        Verb.INVITE_TO_ROOM,
        Verb.INVITE_TO_EVENT,
        Verb.MENTION,
    }
)
"""What leads to a person: refused to who is limited, unless they are friends; who has asked is answered."""


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
