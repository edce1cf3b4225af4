"""Pictures that people show of themselves: their own media, by id or by an address of ours."""

from collections.abc import Awaitable, Callable

from common.errors import Invalid, NotFound
from common.ids import Id, is_id
from common.settings import Settings
from realtime.features.accounts.schemas import addresses

MediaAddress = Callable[[Id, Id], Awaitable[str]]
"""The address of a person's own medium; raises `NotFound`."""


class MediaNotFound(NotFound):
    code, text = "media_not_found", "There is no such upload of yours."


async def no_media(user_id: Id, media_id: Id) -> str:
    """Nobody has uploaded anything."""
    raise MediaNotFound


class Pictures:
    """Finds the address a picture is kept under. Nothing is fetched, and nothing foreign is let in."""

    def __init__(self, settings: Settings, address: MediaAddress = no_media) -> None:
        self._origins = [origin.rstrip("/") for origin in (settings.public_url, settings.cdn_url) if origin]
        self._address = address

    async def kept(self, user_id: Id, field: str, text: str | None) -> str | None:
        """The address of what `text` names; None for nothing. Raises `Invalid` for what is not ours."""
        if not text:
            return None
        if is_id(text):
            return await self._address(user_id, text)
        path = addresses.medium(text, self._origins)
        if path is None:
            raise Invalid.field(field, "is the id or the address of a picture uploaded here")
        return path
