"""Uploads on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from common.ids import Id
from realtime.channels import Publication, Wire
from realtime.policy import Verb

Variant = Literal["thumb", "small", "medium", "poster", "hls", "hls-360p", "hls-720p", "360p", "720p"]


class MediaOut(Wire):
    """An upload. While a video is being cut it is `processing`: its poster is there, it may not play yet."""

    id: Id
    url: str
    filename: str
    content_type: str = Field(alias="content_type")
    size: int
    storage_type: Literal["mongodb", "disk", "s3"] = Field(alias="storage_type")
    sha256: str
    width: int
    height: int
    duration: float | None
    blurhash: str
    animated: bool
    variants: dict[str, str]
    """Names of variants, and their addresses."""
    state: Literal["processing", "ready"]
    uploaded_at: datetime = Field(alias="uploaded_at")


class ArrivingOut(Wire):
    """An upload on its way: `offset` bytes are safe. `media` is what it has become."""

    id: Id
    offset: int
    length: int
    expires_at: datetime
    media: MediaOut | None
    metadata: str


def address_of(media_id: Id) -> str:
    """Where an upload is read."""
    return f"/api/media/{media_id}"


class SignedOut(Wire):
    """An address that needs no token, for as long as it holds and its maker may see the upload."""

    url: str
    expires_at: datetime = Field(alias="expires_at")


class MediaProgress(Publication, event="media_progress", verb=Verb.OWN, ephemeral=True):
    """A video of one's own is being cut; `progress` is between 0 and 1."""

    media_id: Id
    progress: float


class MediaReady(Publication, event="media_ready", verb=Verb.OWN, logged=True):
    """A video of one's own is there in all its sizes."""

    media: MediaOut


class MediaFailed(Publication, event="media_failed", verb=Verb.OWN, logged=True):
    """A video of one's own could not be cut; `code` says why. The upload is gone."""

    media_id: Id
    code: str
