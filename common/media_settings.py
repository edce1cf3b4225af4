"""Settings of media: where bytes are kept, and how much of them there may be."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

MEGABYTE = 1024 * 1024


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Storage(_Group):
    """An S3 store takes everything, if there is one; else small files go to MongoDB, large ones to disk."""

    s3_bucket: str | None = None
    s3_url: str | None = None
    """Where R2, MinIO and others listen; AWS needs none."""
    s3_public_url: str | None = None
    """Where browsers reach it, if not there."""
    s3_region: str = "us-east-1"
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    s3_path_style: bool = True
    disk_from: int = Field(default=15 * MEGABYTE, ge=0)

    @model_validator(mode="after")
    def _is_whole(self) -> "Storage":
        given = (self.s3_bucket, self.s3_access_key, self.s3_secret_key)
        if any(given) and not all(given):
            raise ValueError("S3 needs all of bucket, access key and secret key")
        return self


class Media(_Group):
    """Bounds on uploads. Sizes are bytes, times seconds."""

    upload_bytes: int = Field(default=150 * MEGABYTE, ge=1)
    image_bytes: int = Field(default=10 * MEGABYTE, ge=1)
    """For the routes that take images only."""
    room_bytes: int = Field(default=2048 * MEGABYTE, ge=1)
    """What one person's uploads may take together."""
    room_count: int = Field(default=10_000, ge=1)
    at_once: int = Field(default=8, ge=1)
    """Uploads under way on one node; who comes then is asked to come again."""
    idle: float = Field(default=30.0, gt=0)
    """How long an upload may stand still."""
    video_seconds: float = Field(default=600.0, gt=0)
    image_workers: int = Field(default=2, ge=1)
    video_workers: int = Field(default=1, ge=0)
    """Videos that a process cuts at once; others cut them where this is 0."""
    url_lifetime: int = Field(default=600, ge=1)
    unused_after: float = Field(default=86_400.0, gt=0)
    """After so long an upload that nothing refers to is removed."""
    sweep: float = Field(default=300.0, gt=0)
