"""Pictures that people show of themselves, as the meetup app names their fields."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from common.ids import Id

ImageType = Literal["profile", "gallery", "cover"]
Caption = Annotated[str, StringConstraints(max_length=255)]


class Meetup(BaseModel):
    """snake_case, and what is unknown is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class PictureIn(Meetup):
    """The fields beside the file."""

    username: str = Field(min_length=1, max_length=100)
    image_type: ImageType = "profile"
    is_primary: bool = False
    caption: Caption = ""


class PicturesOfIn(Meetup):
    """Whose pictures."""

    usernames: Annotated[list[str], Field(min_length=1, max_length=50)]


class PictureOut(Meetup):
    """A picture of somebody's; `url` needs no token for `profile` ones."""

    id: Id
    url: str
    image_type: ImageType
    is_primary: bool
    caption: str
    uploaded_at: datetime
    width: int
    height: int
    size_bytes: int
    mime_type: str


class PictureAnswer(Meetup):
    """What stands at the top level."""

    image: PictureOut


class PicturesAnswer(Meetup):
    """What stands at the top level."""

    images: list[PictureOut]
    count: int


class PicturesOfAnswer(Meetup):
    """What stands at the top level: pictures by username. Who is not there has none."""

    images: dict[str, list[PictureOut]]
