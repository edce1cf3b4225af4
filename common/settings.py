"""All settings: one frozen tree, read once from the environment (`PLAZA_…`) and `.env`.

Nested names are joined by two underscores: `PLAZA_LIMITS__USER_PER_MINUTE=1000`.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common.media_settings import Media, Storage
from common.push_settings import Push
from common.redis_url import RedisUrl

MIN_SECRET = 32


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Group):
    """Bounds on what clients may ask for. Rates are per minute."""

    public_per_minute: int = Field(default=100, ge=1)
    user_per_minute: int = Field(default=1000, ge=1)
    uploads_per_minute: int = Field(default=50, ge=1)
    sockets_per_user: int = Field(default=10, ge=1)
    unauthenticated_per_address: int = Field(default=50, ge=1)
    newcomers: int = Field(default=2000, ge=1)
    frame_bytes: int = Field(default=65_536, ge=1024)
    body_bytes: int = Field(default=1_048_576, ge=1024)
    json_depth: int = Field(default=32, ge=4)
    mailbox: int = Field(default=128, ge=1)
    outgoing_bytes: int = Field(default=524_288, ge=65_536)
    outgoing_packets: int = Field(default=256, ge=16)


class Timeouts(_Group):
    """Deadlines and intervals in seconds."""

    authenticate: float = Field(default=10.0, gt=0)
    command: float = Field(default=8.0, gt=0)
    request: float = Field(default=15.0, gt=0)
    ping_interval: float = Field(default=20.0, gt=0)
    ping_timeout: float = Field(default=15.0, gt=0)
    drain: float = Field(default=20.0, gt=0)
    presence_grace: float = Field(default=5.0, ge=0)
    presence_lease: float = Field(default=30.0, gt=0)
    typing: float = Field(default=6.0, gt=0)
    revocation_sweep: float = Field(default=1.0, gt=0)
    stream_sweep: float = Field(default=10.0, gt=0)


class Accounts(_Group):
    """Sign-up, log-in and token rules. Lifetimes are in seconds."""

    approval_required: bool = False
    access_lifetime: int = Field(default=86_400, ge=30)
    refresh_lifetime: int = Field(default=30 * 86_400, ge=60)
    refresh_idle: int = Field(default=14 * 86_400, ge=60)
    refresh_grace: int = Field(default=10, ge=0)
    reset_lifetime: int = Field(default=1800, ge=60)
    bcrypt_cost: int = Field(default=12, ge=4, le=16)
    failures_per_account: int = Field(default=10, ge=1)
    failures_per_address: int = Field(default=50, ge=1)
    failure_window: int = Field(default=900, ge=1)


class Smtp(_Group):
    """Outgoing mail; without a host, mails go to a maildir under the data directory."""

    host: str | None = None
    port: int = 587
    username: str | None = None
    password: SecretStr | None = None
    start_tls: bool = True
    sender: str = "Plaza <no-reply@localhost>"


class Tls(_Group):
    """TLS in the process itself, where no front ends it: PEM files, the certificate with its chain."""

    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "Tls":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("TLS needs both a certificate and a key")
        return self


class Streams(_Group):
    """How much of a stream one answer carries and how much is kept."""

    page: int = Field(default=200, ge=1, le=1000)
    gap: int = Field(default=2000, ge=10)
    snapshot: int = Field(default=50, ge=1)
    keep_updates: int = Field(default=5000, ge=100)
    batch: int = Field(default=256, ge=1, le=2000)


class Personal(_Group):
    """Deleting accounts, and copies of what is stored about people. In seconds."""

    deletion_grace: float = Field(default=30 * 86_400, ge=0)
    deletion_settle: float = Field(default=60.0, gt=0)
    """After it, what was under way while an account was erased is over, and is erased as well."""
    export_every: float = Field(default=86_400, ge=0)
    export_lifetime: float = Field(default=7 * 86_400, gt=0)
    lease: float = Field(default=60.0, gt=0)
    look_every: float = Field(default=5.0, gt=0)


class Moderation(_Group):
    """How much people can report, and how long what they reported is kept."""

    reports_per_day: int = Field(default=50, ge=1)
    claim_minutes: int = Field(default=30, ge=1)
    """For how long a moderator has a case for themselves."""
    evidence_days: int = Field(default=365, ge=1)
    """After the decision."""


class Settings(BaseSettings):
    """Everything that can be configured, validated at start."""

    model_config = SettingsConfigDict(
        env_prefix="PLAZA_",
        env_nested_delimiter="__",
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    environment: Literal["development", "test", "production"] = "development"
    host: str = "127.0.0.1"
    port: int = Field(default=8001, ge=0, le=65535)
    public_url: str = "http://localhost:8001"
    cdn_url: str = ""
    """Where a content network shows what is under `public_url`, if there is one."""
    data_dir: Path = Path("data")
    database: str = Field(default="plaza", pattern=r"^[A-Za-z0-9_-]{1,38}$")
    mongo_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    migrate: bool = True
    """Whether a process makes missing indexes when it starts; else `python -m realtime migrate` does."""
    node_name: str = Field(default="", pattern=r"^[A-Za-z0-9.-]{0,63}$")
    """What session ids begin with, so that a front can send a polling client back to this process."""
    jwt_secret: SecretStr | None = None
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    polling: bool = True
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    metrics_token: SecretStr | None = None
    public_docs: bool | None = None
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    accounts: Accounts = Accounts()
    smtp: Smtp = Smtp()
    tls: Tls = Tls()
    streams: Streams = Streams()
    storage: Storage = Storage()
    media: Media = Media()
    push: Push = Push()
    personal: Personal = Personal()
    moderation: Moderation = Moderation()

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in ("allowed_origins", "trusted_proxies"):
            if isinstance(values.get(name), str):
                values[name] = tuple(part.strip() for part in values[name].split(",") if part.strip())
        return values

    @field_validator("redis_url")
    @classmethod
    def _redis_url_is_readable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            RedisUrl.parse(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _production_is_complete(self) -> "Settings":
        secret = self.jwt_secret.get_secret_value() if self.jwt_secret else ""
        if secret and len(secret.encode()) < MIN_SECRET:
            raise ValueError(f"PLAZA_JWT_SECRET is too short: at least {MIN_SECRET} bytes are needed")
        if self.environment != "production":
            return self
        if not secret:
            raise ValueError("PLAZA_JWT_SECRET is missing: production does not start without one")
        if self.mongo_url is None:
            raise ValueError("PLAZA_MONGO_URL is missing: production does not run on the embedded engine")
        if self.accounts.bcrypt_cost < 12:
            raise ValueError("PLAZA_ACCOUNTS__BCRYPT_COST is below 12 in production")
        if self.push.web.private_addresses:
            raise ValueError("PLAZA_PUSH__WEB__PRIVATE_ADDRESSES is not for production")
        return self

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @property
    def shows_docs(self) -> bool:
        """Whether anybody may read the API pages; unless told otherwise, not in production."""
        return not self.is_production if self.public_docs is None else self.public_docs

    def secret(self) -> bytes:
        """The signing secret; development makes one and keeps it under the data directory."""
        if self.jwt_secret is not None:
            return self.jwt_secret.get_secret_value().encode()
        return _kept_secret(self.data_dir / "jwt_secret")


def _kept_secret(path: Path) -> bytes:
    """Read the secret kept at `path`, or make it; two processes that start together get the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_urlsafe(48).encode())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return path.read_bytes()
