"""Reporting, and what concerns oneself."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from common.ids import Id
from realtime.channels import Wire
from realtime.features.moderation.schemas.common import Action, Reason, Status, TargetType, Text


class ReportIn(Wire):
    """What is reported, and why. `other` needs words."""

    target_type: TargetType
    target_id: Id
    reason: Reason
    text: Text = ""

    @model_validator(mode="after")
    def _says_what(self) -> "ReportIn":
        if self.reason == "other" and not self.text:
            raise ValueError("say in words what it is")
        return self


class ReportOut(Wire):
    """One's own report and what became of it."""

    id: Id
    target_type: str
    target_id: Id
    reason: str
    text: str
    status: Status
    created_at: datetime
    decided_at: datetime | None


class OwnSanctionOut(Wire):
    """What was done about the caller. `appeal`: whether one is possible, waits, or was the last."""

    id: Id
    action: Action
    reason: str
    issued_at: datetime
    until: datetime | None
    status: Literal["active", "expired", "reversed"]
    appeal: Literal["possible", "open", "used_up", "over"]


class AppealIn(Wire):
    """Why it was wrong. `token` is for who cannot log in: it comes with the refusal to log them in."""

    sanction_id: Id | None = None
    token: Annotated[str, Field(min_length=1, max_length=6144)] | None = None
    text: Annotated[Text, Field(min_length=1)]

    @model_validator(mode="after")
    def _is_about_one(self) -> "AppealIn":
        if (self.sanction_id is None) == (self.token is None):
            raise ValueError("give either sanctionId or token")
        return self


class AppealOut(Wire):
    """One's own appeal and what became of it."""

    id: Id
    sanction_id: Id
    text: str
    status: Literal["open", "accepted", "rejected"]
    created_at: datetime
    decided_at: datetime | None
