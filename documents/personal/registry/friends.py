"""Friends, blocks, suggestions and presence."""

from common.ids import Id
from documents.circles import Circle, Untold
from documents.friends import Block, Friendship
from documents.personal.holdings import Copy, Delete, Elsewhere, Holding, TakeOut
from documents.presence import Presence
from documents.rows import Raw
from documents.suggestions import Dismissals, SuggestionList


def _other(raw: Raw, user_id: Id) -> Raw:
    other = next(one for one in raw["pair"] if one != user_id)
    return {
        "user_id": other,
        "state": raw["state"],
        "asked_by_me": raw["asked_by"] == user_id,
        "asked_at": raw["asked_at"],
        "changed_at": raw["changed_at"],
    }


FRIENDS: tuple[Holding, ...] = (
    Holding(
        Friendship,
        {"pair": Delete(), "asked_by": Elsewhere("pair")},
        others=("_id",),
        copy=Copy("friendships", "pair", shape=_other),
    ),
    Holding(Circle, {"_id": Delete()}, copy="a counter"),
    Holding(
        SuggestionList,
        {"_id": Delete(), "people.id": Delete()},
        copy="made anew from the other files when it is asked for",
    ),
    Holding(
        Dismissals,
        {"_id": Delete(), "people": TakeOut()},
        copy=Copy("dismissed_suggestions", "_id", ("people",)),
    ),
    Holding(Untold, {"pair": Delete()}, others=("_id", "change"), copy="news on their way"),
    Holding(
        Block,
        {"blocker": Delete(), "blocked": Delete()},
        others=("_id",),
        copy=Copy("blocks", "blocker", ("blocked", "at")),
    ),
    Holding(Presence, {"_id": Delete()}, copy=Copy("presence", "_id", ("last_seen", "hidden_since"))),
)
