"""Pictures that people show of themselves: their own media, by id or by an address of ours."""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

from common.errors import Invalid
from common.ids import Id, is_id
from common.settings import Settings
from documents.accounts import Pictured
from realtime.features.accounts.schemas import addresses

_REFS = {"avatar": "avatar", "coverPhoto": "cover"}
WALKED_AT_ONCE = 500
_ADDRESS = re.compile(r"/api/media/([0-9a-f-]{36})(?:\?.*)?")


class Attached(Protocol):
    """An upload that is shown."""

    @property
    def url(self) -> str: ...


class Media(Protocol):
    """People's uploads."""

    async def attach(self, owner: Id, media_id: Id, ref: str) -> Attached:
        """Let `ref` show one's own upload; raises `MediaNotFound`."""
        ...

    async def detach(self, ref: str, *, but: Iterable[Id] = ()) -> None:
        """`ref` shows no upload any more, or none but these."""
        ...


class Pictures:
    """Finds the address a picture is kept under. Nothing is fetched, and nothing foreign is let in."""

    def __init__(self, settings: Settings, media: Media) -> None:
        self._origins = [origin.rstrip("/") for origin in (settings.public_url, settings.cdn_url) if origin]
        self._media = media

    async def kept(self, user_id: Id, field: str, text: str | None) -> str | None:
        """The address of what `text` names; None for nothing. Raises `Invalid` for what is not ours."""
        if not text:
            return None
        path = None if is_id(text) else addresses.medium(text, self._origins)
        media_id = text if path is None else _named_in(path)
        if media_id is not None and is_id(media_id):
            return (await self._media.attach(user_id, media_id, f"{_REFS[field]}:{user_id}")).url
        if path is None:
            raise Invalid.field(field, "is the id or the address of a picture uploaded here")
        return path

    async def settled(self, user_id: Id, field: str, address: str | None) -> None:
        """This is what is shown now: whatever was shown before is shown no more."""
        shown = _named_in(address) if address else None
        await self._media.detach(f"{_REFS[field]}:{user_id}", but=[shown] if shown else [])


class ShownPictures:
    """Profiles as things that show uploads."""

    kinds = frozenset(_REFS.values())

    async def standing(self, refs: Sequence[str]) -> Sequence[tuple[str, Id, str]]:
        """Those of these refs that show something, their owners, and the addresses of what they show."""
        return _showing(await Pictured.of([ref.partition(":")[2] for ref in refs]))

    async def walk(self) -> AsyncIterator[Sequence[tuple[str, Id, str]]]:
        """All of them, a part at a time."""
        after = ""
        while page := await Pictured.after(after, WALKED_AT_ONCE):
            yield _showing(page)
            after = page[-1].id


def _showing(found: Sequence[Pictured]) -> list[tuple[str, Id, str]]:
    shown = [
        (f"{_REFS[field]}:{person.id}", person.id, address)
        for person in found
        for field, address in (("avatar", person.avatar), ("coverPhoto", person.cover_photo))
    ]
    return [(ref, owner, address) for ref, owner, address in shown if address]


def _named_in(path: str) -> Id | None:
    """The upload that an address of ours names."""
    match = _ADDRESS.fullmatch(path)
    return match[1] if match else None
