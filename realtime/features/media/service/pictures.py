"""Pictures that people show of themselves: one upload each, one of them primary."""

from collections.abc import AsyncIterable, Callable, Sequence
from typing import Protocol

from common.errors import Forbidden, NotFound
from common.ids import Id
from documents.media import Media, UserImage
from realtime.features.media import rules
from realtime.features.media.schemas.meetup import PictureIn, PictureOut
from realtime.features.media.service.library import Library
from realtime.features.media.service.uploads import Incoming, Uploads
from realtime.policy import PersonAbsent, Policy, Verb

LISTED = 200


class PictureNotFound(NotFound):
    code, text = "image_not_found", "There is no such picture."


class WrongActor(Forbidden):
    code, text = "wrong_actor", "You can only act as yourself."


class Named(Protocol):
    @property
    def id(self) -> Id: ...


class People(Protocol):
    """People by their names."""

    async def by_username(self, username: str) -> Named | None: ...


class Pictures:
    """Adds, lists, chooses and removes them. `profile` ones are for everybody, others as privacy has it."""

    def __init__(self, people: People, policy: Policy, uploads: Uploads, library: Library) -> None:
        self._people, self._policy, self._uploads, self._library = people, policy, uploads, library

    async def require_self(self, user_id: Id, username: str) -> None:
        """Refuse to act under another's name."""
        person = await self._people.by_username(username)
        if person is None or person.id != user_id:
            raise WrongActor

    async def add(
        self, owner: Id, chunks: AsyncIterable[bytes], most: int, fields: Callable[[], PictureIn]
    ) -> PictureOut:
        """Upload a picture; `fields` are known once its bytes have been read."""
        media = await self._uploads.receive(owner, Incoming(chunks, most, ("image",)))
        given = fields()
        image = UserImage(
            owner=owner,
            media=media.id,
            image_type=given.image_type,
            is_primary=given.is_primary,
            caption=given.caption,
            width=media.width,
            height=media.height,
            size_bytes=media.size,
            mime_type=media.content_type,
        )
        await self._library.attach(owner, media.id, rules.picture_ref(image))
        return _shown(await image.add())

    async def of_person(self, viewer: Id, username: str) -> Sequence[PictureOut]:
        """Somebody's pictures as the viewer may see them, newest first; raises `PersonAbsent`."""
        person = await self._people.by_username(username)
        if person is None:
            raise PersonAbsent
        await self._policy.require(viewer, Verb.SEE_PROFILE, person.id)
        return (await self._visible(viewer, [person.id]))[person.id]

    async def of_people(self, viewer: Id, usernames: Sequence[str]) -> dict[str, Sequence[PictureOut]]:
        """The same of many; who is absent has none."""
        found = {name: await self._people.by_username(name) for name in dict.fromkeys(usernames)}
        ids = {person.id for person in found.values() if person is not None}
        seen = await self._policy.among(viewer, Verb.SEE_PROFILE, ids)
        images = await self._visible(viewer, list(seen))
        return {name: images.get(person.id, ()) if person else () for name, person in found.items()}

    async def _visible(self, viewer: Id, owners: Sequence[Id]) -> dict[Id, Sequence[PictureOut]]:
        whole = await self._policy.among(viewer, Verb.SEE_MEDIA, owners)
        images = await UserImage.of_each(owners, LISTED)
        alive = await Media.many([image.media for one in images.values() for image in one])
        return {
            owner: [
                _shown(image)
                for image in found
                if image.media in alive and (owner in whole or image.image_type == "profile")
            ]
            for owner, found in images.items()
        }

    async def make_primary(self, owner: Id, image_id: Id) -> PictureOut:
        image = await UserImage.make_primary(image_id, owner)
        if image is None:
            raise PictureNotFound
        return _shown(image)

    async def remove(self, owner: Id, image_id: Id) -> None:
        """Remove one's own picture, and its upload, unless something else shows it."""
        image = await UserImage.remove(image_id, owner)
        if image is None:
            raise PictureNotFound
        await self._library.release(owner, image.media, rules.picture_ref(image))

    async def media_of(self, image_id: Id) -> Id:
        """The upload of a picture; who may see it is asked there, and who may not is told the same."""
        image = await UserImage.by_id(image_id)
        if image is None:
            raise rules.MediaNotFound
        return image.media


def _shown(image: UserImage) -> PictureOut:
    return PictureOut(
        id=image.id,
        url=f"/api/user_image/{image.id}/serve/",
        image_type=image.image_type,
        is_primary=image.is_primary,
        caption=image.caption,
        uploaded_at=image.uploaded_at,
        width=image.width,
        height=image.height,
        size_bytes=image.size_bytes,
        mime_type=image.mime_type,
    )
