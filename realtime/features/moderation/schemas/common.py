"""What the shapes of moderation are made of."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from realtime.channels import Wire
from realtime.features.accounts.schemas import words

Reason = Literal[
    "spam",
    "harassment",
    "hate",
    "violence",
    "sexual",
    "self_harm",
    "impersonation",
    "illegal",
    "other",
]
Action = Literal["warn", "mute", "limit", "ban"]
Decision = Literal["none", "warn", "mute", "limit", "ban", "accept", "reject"]
Status = Literal["open", "resolved", "dismissed"]
TargetType = Annotated[str, Field(min_length=1, max_length=20, pattern="^[a-z_]+$")]
MAX_SECONDS = 10 * 366 * 86_400


def _text(longest: int) -> AfterValidator:
    return AfterValidator(lambda text: words.paragraph(text, longest))


Text = Annotated[str, _text(1000)]
Short = Annotated[str, _text(500)]


class Lasting(Wire):
    """How long something lasts: so many seconds, until a moment, or for ever."""

    duration_seconds: Annotated[int, Field(ge=1, le=MAX_SECONDS)] | None = None
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _ends_once(self) -> "Lasting":
        if self.duration_seconds is not None and self.until is not None:
            raise ValueError("give either durationSeconds or until")
        return self
