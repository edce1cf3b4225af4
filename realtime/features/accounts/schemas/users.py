"""People as the wire shows them, and what they may change about themselves."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    computed_field,
    model_serializer,
    model_validator,
)

from common.ids import Id
from realtime.channels import Wire
from realtime.features.accounts.schemas import addresses
from realtime.features.accounts.schemas.common import Handle, Line, Name, Paragraph, Tag

Privacy = Literal["public", "friends", "private"]
Tier = Literal["Bronze", "Silver", "Gold", "Platinum"]
Skill = Literal["BEGINNER", "INTERMEDIATE", "ADVANCED", "EXPERT"]
Relation = Literal["self", "none", "friends", "request_sent", "request_received"]


class Relations(Protocol):
    """What people are to each other."""

    async def relation(self, viewer: Id, user_id: Id) -> Relation: ...

    async def mutual_count(self, viewer: Id, user_id: Id) -> int: ...


class Presence(Protocol):
    """Whether somebody is there; if not, when they last were."""

    @property
    def online(self) -> bool: ...
    @property
    def last_seen(self) -> datetime | None: ...


class Online(Protocol):
    """Who is there, as far as a viewer may know."""

    async def visible_online(self, viewer: Id, user_ids: Iterable[Id]) -> set[Id]: ...

    async def state(self, viewer: Id, user_id: Id) -> Presence | None: ...

    async def audience_changed(
        self, user_id: Id, *, was_shown: bool, is_shown: bool, knew_when: bool
    ) -> None:
        """Somebody has chosen whether friends see their presence. `knew_when`: also the last time."""
        ...


def _year(value: object) -> object:
    """Some apps send the year as a number."""
    return str(value) if type(value) is int else value


def _skill_name(text: str) -> str:
    if text.startswith("$"):
        raise ValueError("does not begin with $")
    return text


Link = Annotated[str, AfterValidator(addresses.shown_link)]
Picture = Annotated[str, StringConstraints(max_length=500)]
"""A medium by its id or its address; the service says whether it is one that may be used."""

SkillName = Annotated[Tag, AfterValidator(_skill_name)]
Interests = Annotated[list[Tag], Field(max_length=30)]
Skills = Annotated[dict[SkillName, Skill], Field(max_length=30)]
Radius = Annotated[float, Field(gt=0, le=500, allow_inf_nan=False)]
Year = Annotated[Line, BeforeValidator(_year), Field(max_length=20)]


class Visibility(Wire):
    """Who sees what. What is not named is seen by those that `privacy` says; null takes a choice back."""

    bio: Privacy | None = None
    location: Privacy | None = None
    website: Privacy | None = None
    full_name: Privacy | None = None
    education: Privacy | None = None
    interests: Privacy | None = None
    skills: Privacy | None = None
    score: Privacy | None = None
    friends: Privacy | None = None
    presence: Privacy | None = None
    last_seen: Privacy | None = None


class VisibilityOut(Visibility):
    """The same: only what was chosen."""

    @model_serializer(mode="wrap")
    def _chosen(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


class SettingsOut(Wire):
    """What a person has chosen about themselves."""

    privacy: Privacy
    visibility: VisibilityOut
    notifications: bool
    dark_mode: bool


class UserCard(Wire):
    """A person in a list, and all that a private profile shows."""

    id: Id
    name: str
    handle: str
    avatar: str | None


class ReputationOut(Wire):
    """What others think of somebody they met: nothing yet, for who has no ratings."""

    trust_level: int = 1
    average_rating: float = 0.0
    total_ratings: int = 0


class PersonOut(UserCard):
    """A person as others see them."""

    cover_photo: str | None
    bio: str
    location: str
    website: str
    vibe_score: int
    tier: Tier
    streak: int
    created_at: datetime
    last_active: datetime | None = None
    is_online: bool = False
    full_name: str = Field(alias="full_name")
    university: str
    degree: str
    year: str
    interests: list[str]
    skills: dict[str, Skill]
    auto_invite_enabled: bool = Field(alias="auto_invite_enabled")
    preferred_radius: float = Field(alias="preferred_radius")
    is_certified: bool = Field(alias="is_certified")


class UserOut(PersonOut):
    """A person as they see themselves."""

    email: str | None
    settings: SettingsOut


class MeOut(UserOut):
    """The caller, with the names the gallery app uses."""

    username: str
    is_admin: bool = Field(alias="is_admin")
    is_moderator: bool = Field(alias="is_moderator")
    is_approved: bool = Field(alias="is_approved")

    @computed_field(alias="created_at")
    @property
    def created(self) -> datetime:
        return self.created_at


class ProfileOut(PersonOut):
    """A profile as the viewer may see it."""

    friendship: Relation
    mutual_friends: int = 0
    reputation: ReputationOut = ReputationOut()


class OwnProfileOut(UserOut):
    """One's own profile."""

    friendship: Relation = "self"
    mutual_friends: int = 0
    reputation: ReputationOut = ReputationOut()


class PrivateProfileOut(UserCard):
    """A profile whose owner does not show it to the viewer, with the parts that they show all the same."""

    friendship: Relation
    bio: str | None = None
    location: str | None = None
    website: str | None = None
    full_name: str | None = Field(None, alias="full_name")
    university: str | None = None
    degree: str | None = None
    year: str | None = None
    interests: list[str] | None = None
    skills: dict[str, Skill] | None = None
    vibe_score: int | None = None
    tier: Tier | None = None
    streak: int | None = None
    mutual_friends: int | None = None
    is_online: bool | None = None
    last_active: datetime | None = None

    @model_serializer(mode="wrap")
    def _without_the_rest(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        shown: dict[str, Any] = handler(self)
        return {name: value for name, value in shown.items() if value is not None or name == "avatar"}


class SettingsIn(Wire):
    """What to change; what is not named stays."""

    privacy: Privacy | None = None
    visibility: Visibility | None = None
    notifications: bool | None = None
    dark_mode: bool | None = None

    @model_validator(mode="after")
    def _no_nulls(self) -> "SettingsIn":
        _require_values(self, frozenset())
        return self


_CLEARABLE = frozenset({"avatar", "cover_photo"})


class ProfileIn(Wire):
    """What to change about oneself; what is not named stays. Derived and granted fields are unknown here."""

    name: Name | None = None
    handle: Handle | None = None
    bio: Paragraph | None = None
    avatar: Picture | None = None
    cover_photo: Picture | None = None
    location: Line | None = None
    website: Link | None = None
    settings: SettingsIn | None = None
    full_name: Line | None = Field(None, alias="full_name")
    university: Line | None = None
    degree: Line | None = None
    year: Year | None = None
    interests: Interests | None = None
    skills: Skills | None = None
    auto_invite_enabled: bool | None = Field(None, alias="auto_invite_enabled")
    preferred_radius: Radius | None = Field(None, alias="preferred_radius")

    @model_validator(mode="after")
    def _no_nulls(self) -> "ProfileIn":
        _require_values(self, _CLEARABLE)
        return self


def _require_values(body: Wire, clearable: frozenset[str]) -> None:
    for name in sorted(body.model_fields_set - clearable):
        if getattr(body, name) is None:
            raise ValueError(f"{name} cannot be null")
