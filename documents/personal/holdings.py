"""How documents hold people: where ids of people stand, what is copied for them, and what is left of it."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from beanie import Document
from pymongo.asynchronous.collection import AsyncCollection

from common.ids import Id
from documents.rows import Raw, rows

LAST = "\U0010ffff"
AT_ONCE = 500
"""Documents that are read or changed at a time: nothing takes long, nothing takes much memory."""

Shape = Callable[[Raw, Id], Raw]
"""What a person gets of a document: nothing when it is empty."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is being erased, and what stands for them where something has to."""

    id: Id
    pseudonym: Id


class End(ABC):
    """What becomes of the documents in which a field holds a person who is being erased.

    `erase` can be repeated at any time: it finds what there is still to do.
    """

    last = False
    """Whether it is done when everything else is."""

    @abstractmethod
    async def erase(self, kind: type[Document], path: str, person: Person) -> None: ...


class Delete(End):
    """The document goes."""

    async def erase(self, kind: type[Document], path: str, person: Person) -> None:
        await delete_where(kind, {path: person.id})


class DeleteLast(Delete):
    """The document goes when nothing needs it any more to find other things."""

    last = True


class Replace(End):
    """The pseudonym takes the place of the id."""

    async def erase(self, kind: type[Document], path: str, person: Person) -> None:
        await change_where(kind, {path: person.id}, {"$set": {path: person.pseudonym}})


@dataclass(frozen=True, slots=True)
class ReplaceWith(End):
    """The same, and at once in another field of the document that may hold the same person."""

    other: str

    async def erase(self, kind: type[Document], path: str, person: Person) -> None:
        is_person = {"$eq": [f"${self.other}", {"$literal": person.id}]}
        both = {
            path: person.pseudonym,
            self.other: {"$cond": [is_person, person.pseudonym, f"${self.other}"]},
        }
        await change_where(kind, {path: person.id}, [{"$set": both}])


@dataclass(frozen=True, slots=True)
class DeletePrefixed(End):
    """Documents go whose field begins with the id behind one of these words."""

    words: Sequence[str]

    async def erase(self, kind: type[Document], path: str, person: Person) -> None:
        starts = [f"{word}{person.id}" for word in self.words]
        await delete_where(kind, {"$or": [{path: {"$gte": one, "$lt": one + LAST}} for one in starts]})


class TakeOut(End):
    """The id is taken out of a list."""

    async def erase(self, kind: type[Document], path: str, person: Person) -> None:
        await change_where(kind, {path: person.id}, {"$pull": {path: person.id}})


@dataclass(frozen=True, slots=True)
class Elsewhere(End):
    """Another field of the same document, or the service named here, sees to it."""

    by: str

    async def erase(self, kind: type[Document], path: str, person: Person) -> None:
        """Nothing to do here."""


@dataclass(frozen=True, slots=True)
class Keep(End):
    """It stays, and why."""

    why: str

    async def erase(self, kind: type[Document], path: str, person: Person) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The file of a person's copy that documents go into. `find` says which they are.

    With `hidden` every field is named: in `fields` if people get it, in `hidden` if they do not.
    """

    file: str
    find: str | Callable[[Id], Awaitable[Raw]]
    fields: Sequence[str] = ()
    hidden: Sequence[str] = ()
    shape: Shape | None = None

    async def rows_of(self, kind: type[Document], user_id: Id) -> AsyncIterator[Sequence[Raw]]:
        """What the person gets, a part at a time."""
        where = {self.find: user_id} if isinstance(self.find, str) else await self.find(user_id)
        async for part in parts_of(kind, where):
            given = (self.shape(raw, user_id) if self.shape else self._picked(raw) for raw in part)
            yield [row for row in given if row]

    def _picked(self, raw: Raw) -> Raw:
        return {("id" if name == "_id" else name): raw.get(name) for name in self.fields}


@dataclass(frozen=True, slots=True)
class Holding:
    """What one kind of document has to do with people.

    `people`: where ids of people stand, and what becomes of each. `others`: ids, and fields that may hold
    anything, where no person stands. `copy`: what people get of it, or why they get nothing.
    """

    kind: type[Document]
    people: Mapping[str, End]
    others: Sequence[str] = field(default=(), kw_only=True)
    copy: Copy | str = field(kw_only=True)
    also: Sequence[Copy] = field(default=(), kw_only=True)

    @property
    def copies(self) -> Sequence[Copy]:
        """Every file its documents go into."""
        return (self.copy, *self.also) if isinstance(self.copy, Copy) else self.also

    async def erase(self, person: Person, *, last: bool) -> None:
        """Do to its documents what is to be done, or what is to be done last."""
        for path, end in self.people.items():
            if end.last == last:
                await end.erase(self.kind, path, person)


async def parts_of(kind: type[Document], where: Raw) -> AsyncIterator[list[Raw]]:
    """The documents that fit, some at a time."""
    part: list[Raw] = []
    async for raw in rows(kind).find(where).batch_size(AT_ONCE):
        part.append(raw)
        if len(part) == AT_ONCE:
            yield part
            part = []
    if part:
        yield part


async def delete_where(kind: type[Document], where: Raw) -> None:
    """Delete what fits, some at a time."""
    await _in_parts(kind, where, lambda found, ids: found.delete_many({"_id": {"$in": ids}}))


async def change_where(kind: type[Document], where: Raw, change: Raw | Sequence[Raw]) -> None:
    """Change what fits until nothing does, some at a time."""
    await _in_parts(
        kind, where, lambda found, ids: found.update_many({"$and": [{"_id": {"$in": ids}}, where]}, change)
    )


async def _in_parts(
    kind: type[Document],
    where: Raw,
    work: Callable[[AsyncCollection[Raw], list[Any]], Awaitable[object]],
) -> None:
    found = rows(kind)
    while True:
        ids = [raw["_id"] for raw in await found.find(where, {"_id": 1}).limit(AT_ONCE).to_list()]
        if ids:
            await work(found, ids)
        if len(ids) < AT_ONCE:
            return
