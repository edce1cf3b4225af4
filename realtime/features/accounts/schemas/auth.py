"""Signing up, logging in, and the tokens that come of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, model_validator

from common.ids import Id
from common.passwords import NewPassword, Password
from realtime.channels import Wire
from realtime.features.accounts.schemas.common import (
    Email,
    Facade,
    Handle,
    Name,
    Opaque,
    Presented,
    Snake,
)
from realtime.features.accounts.schemas.users import MeOut


@dataclass(frozen=True, slots=True)
class Device:
    """Where a request comes from."""

    address: str
    user_agent: str = ""


class SignupIn(Snake):
    """A new person."""

    email: Email
    password: NewPassword
    name: Name
    handle: Handle


class RegisterIn(Facade):
    """A new person of the meetup or gallery app: a username is enough."""

    username: Handle
    password: NewPassword


class LoginIn(Snake):
    """Who, by exactly one of four names, and their password."""

    email: Presented | None = None
    username: Presented | None = None
    handle: Presented | None = None
    identifier: Presented | None = None
    password: Password

    @model_validator(mode="after")
    def _names_one(self) -> "LoginIn":
        if len(self._names()) != 1:
            raise ValueError("say who, by one of email, username, handle and identifier")
        return self

    def _names(self) -> list[str]:
        given = (self.email, self.username, self.handle, self.identifier)
        return [name for name in given if name is not None]

    @property
    def who(self) -> str:
        return self._names()[0]


class FacadeLoginIn(LoginIn):
    """The same for the meetup app: what it does not know, it ignores."""

    model_config = ConfigDict(extra="ignore")


class TokensOut(Snake):
    """The tokens of a log-in. `expires_in` is the access token's lifetime in seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"
    expires_in: int


class TokensTop(TokensOut):
    """The same beside `data`, where some apps look; `token` is the access token."""

    token: str

    @classmethod
    def of(cls, found: "TokensOut | SignedUpOut") -> "TokensTop":
        return cls(
            access_token=found.access_token or "",
            refresh_token=found.refresh_token or "",
            expires_in=found.expires_in or 0,
            token=found.access_token or "",
        )


class LoggedInOut(TokensOut):
    """A person and the tokens of their log-in."""

    user: MeOut


class SignedUpOut(Snake):
    """A new person. Tokens are there unless the account waits for approval."""

    user: MeOut
    access_token: str | None = None
    refresh_token: str | None = None
    token_type: Literal["bearer"] | None = None
    expires_in: int | None = None


class RefreshIn(Snake):
    refresh_token: Opaque


class LogoutIn(Facade):
    """Which log-in to end, when no access token says it. `username` is the caller's, if it is there."""

    refresh_token: Opaque | None = None
    username: Presented | None = None


class ForgotIn(Snake):
    email: Email


class ResetIn(Snake):
    """The token of the mailed link, and the new password."""

    token: Opaque
    password: NewPassword


class ChangePasswordIn(Snake):
    current_password: Password
    new_password: NewPassword


class LoginOut(Wire):
    """One device somebody is logged in on."""

    id: Id
    device: str
    address: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    current: bool


class AuthRefreshIn(Wire):
    """A new access token of the same log-in."""

    token: Opaque


class AuthRefreshOut(Wire):
    """When the socket's token now runs out."""

    expires_at: datetime
