"""Settings of push: the three providers, each whole or not at all, and the outbox in front of them."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

WEB_HOSTS = (
    "fcm.googleapis.com,*.push.services.mozilla.com,*.push.apple.com,*.notify.windows.com,"
    "*.push.samsungosp.com"
)


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Apns(_Group):
    """Apple's push service: a signing key (.p8) of a developer team, and the app's bundle id as `topic`."""

    key: Path | None = None
    key_id: str = Field(default="", pattern=r"^[A-Za-z0-9]{0,20}$")
    team_id: str = Field(default="", pattern=r"^[A-Za-z0-9]{0,20}$")
    topic: str = Field(default="", pattern=r"^[A-Za-z0-9.-]{0,200}$")
    sandbox: bool = False
    url: str = Field(default="", pattern=r"^(https://[^\s]+)?$")
    """Another server than Apple's."""

    @model_validator(mode="after")
    def _is_whole(self) -> "Apns":
        given = (self.key is not None, self.key_id, self.team_id, self.topic)
        if any(given) and not all(given):
            raise ValueError("APNs needs all of key, key_id, team_id and topic")
        return self


class Fcm(_Group):
    """Firebase Cloud Messaging: the JSON file of a service account."""

    credentials: Path | None = None
    url: str = Field(default="https://fcm.googleapis.com", pattern=r"^https?://[^\s]+$")


class WebPush(_Group):
    """Web Push: a private key (PEM, P-256) of our own, and whom push services may contact about us."""

    key: Path | None = None
    contact: str = Field(default="", pattern=r"^(mailto:[^\s@]+@[^\s@]+|https://[^\s]+)?$")
    hosts: str = WEB_HOSTS
    """Where browsers may have us send: names, or `*.` and what they end with, or `*`; comma-separated."""
    private_addresses: bool = False
    """Whether those may be servers of a private network, on any port."""

    @model_validator(mode="after")
    def _is_whole(self) -> "WebPush":
        if (self.key is None) != (not self.contact):
            raise ValueError("Web Push needs both key and contact")
        return self

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        return tuple(host.strip().lower() for host in self.hosts.split(",") if host.strip())


class Push(_Group):
    """Phone pushes. Times are in seconds."""

    apns: Apns = Apns()
    fcm: Fcm = Fcm()
    web: WebPush = WebPush()
    ca: Path | None = None
    """Certificates (PEM) to trust instead of the system's."""
    devices_per_user: int = Field(default=20, ge=1, le=200)
    delay: float = Field(default=2.0, ge=0)
    """How long a note waits for somebody to read it on an open device."""
    hold: float = Field(default=45.0, ge=0)
    """How long the app must stay in the foreground until a note counts as seen there."""
    lifetime: float = Field(default=86_400, ge=1)
    """For how long it makes sense to send a note."""
    attempts: int = Field(default=5, ge=1, le=50)
    backoff: float = Field(default=5.0, gt=0)
    deadline: float = Field(default=10.0, gt=0)
    lease: float = Field(default=60.0, gt=0)
    poll: float = Field(default=1.0, gt=0)
    at_once: int = Field(default=32, ge=1, le=1000)
    failures: int = Field(default=5, ge=1)
    """Failures in a row after which a provider is left in peace for `pause` seconds, longer each time."""
    pause: float = Field(default=15.0, gt=0)

    @model_validator(mode="after")
    def _lease_outlasts_an_attempt(self) -> "Push":
        if self.lease < 2 * self.deadline:
            raise ValueError("the lease of a push must be at least twice its deadline")
        return self
