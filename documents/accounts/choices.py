"""What people have chosen about themselves: above all, who sees what of them."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, Field

Privacy = Literal["public", "friends", "private"]
Shown = Literal[
    "bio",
    "location",
    "website",
    "full_name",
    "education",
    "interests",
    "skills",
    "score",
    "friends",
    "presence",
    "last_seen",
]
"""What has an audience of its own. `education`: university, degree, year; `score`: points, tier, streak."""

Choices = Mapping[Shown, Privacy]

_ASKED_BY: dict[str, Shown] = {
    "see_friends": "friends",
    "see_presence": "presence",
    "see_last_seen": "last_seen",
}
"""The verbs of the policy that ask for one of these; all others ask for the profile as a whole."""
_NARROWNESS: tuple[Privacy, ...] = ("public", "friends", "private")


def audience(privacy: Privacy, chosen: Choices, shown: Shown) -> Privacy:
    """Who sees that: as was chosen for it, and as `privacy` says when nothing was.

    When somebody was last seen says when they were there: its audience is never wider than that of presence.
    """
    own = chosen.get(shown, privacy)
    if shown != "last_seen":
        return own
    return _NARROWNESS[max(map(_NARROWNESS.index, (own, chosen.get("presence", privacy))))]


def audience_for(verb: str, privacy: Privacy, chosen: Choices) -> Privacy:
    """Who may see what a verb of the policy asks for."""
    shown = _ASKED_BY.get(verb)
    return privacy if shown is None else audience(privacy, chosen, shown)


class UserSettings(BaseModel):
    """What a person has chosen about themselves. What `visibility` does not name goes by `privacy`."""

    privacy: Privacy = "public"
    visibility: dict[Shown, Privacy] = Field(default_factory=dict[Shown, Privacy])
    notifications: bool = True
    dark_mode: bool = False

    def audience(self, shown: Shown) -> Privacy:
        """Who sees that."""
        return audience(self.privacy, self.visibility, shown)
