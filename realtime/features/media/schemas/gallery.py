"""Uploads as the gallery app names their fields."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from realtime.channels import Wire

Category = Annotated[
    str,
    BeforeValidator(lambda given: str(given).lower()),
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$"),
]


class Gallery(BaseModel):
    """snake_case, and what is unknown is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class CategoryIn(Gallery):
    """The field beside the file."""

    category: Category = "general"


class KeyIn(Gallery):
    """An upload by its key."""

    key: str = Field(min_length=1, max_length=512)


class PresignedQuery(Wire):
    """What is to be uploaded. With `size` the address is bound to it, too."""

    filename: str = Field(min_length=1, max_length=255)
    content_type: str = Field(alias="content_type", min_length=1, max_length=100)
    category: Category = "general"
    size: int | None = Field(default=None, ge=1)


class KeptOut(Gallery):
    """An image that was uploaded."""

    url: str
    key: str


class GalleryImageOut(KeptOut):
    """An image in the list."""

    size: int
    content_type: str
    width: int
    height: int
    uploaded_at: datetime


class PresignedOut(Gallery):
    """Where to PUT the bytes, with which headers, until when. Then `/api/upload/complete` looks at them."""

    upload_url: str
    key: str
    headers: dict[str, str]
    expires_in: int
