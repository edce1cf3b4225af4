"""People with whom somebody shares interests or a university, as far as everybody may see it."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from math import log2

from common.ids import Id
from documents.accounts import User
from documents.accounts.finding import Described, Findable
from realtime.features.accounts.rules import finding

COMMON = 1000
"""What so many have tells nothing about two people."""
INTERESTS, OF_EACH = 10, 50
"""So many interests are looked at, the rarest ones, and so many people of each."""


class Kindred:
    """Finds them in bounded work: of a crowd, those who come next in the alphabet, so that all get a turn."""

    async def sharing_interests(self, user_id: Id) -> dict[Id, float]:
        """People with the same interests, and how much that weighs; rare ones weigh more."""
        user = await User.find_by("_id", user_id)
        if user is None:
            return {}
        tags = {finding.tag_of(finding.INTEREST, tag) for tag in user.interests}
        return await self._with_tags(user.handle_key, tags - {""})

    async def at_same_university(self, user_id: Id) -> dict[Id, float]:
        """People of the same university; a small one weighs more."""
        user = await User.find_by("_id", user_id)
        tag = finding.tag_of(finding.UNIVERSITY, user.university) if user else ""
        return await self._with_tags(user.handle_key, {tag}) if user and tag else {}

    async def described(self, user_ids: Collection[Id]) -> dict[Id, Described]:
        """What everybody may see of these active people."""
        return {one.id: one for one in await Findable.described(user_ids)}

    async def _with_tags(self, handle_key: str, tags: Collection[str]) -> dict[Id, float]:
        if not tags:
            return {}
        counts = await Findable.counts(sorted(tags), COMMON)
        rarest = sorted(tags, key=lambda tag: (counts[tag], tag))[:INTERESTS]
        lists = await asyncio.gather(*(_neighbours(tag, handle_key) for tag in rarest))
        points: Counter[str] = Counter()
        for tag, keys in zip(rarest, lists, strict=True):
            points.update(dict.fromkeys(keys, 1 + log2(COMMON / max(1, counts[tag]))))
        points.pop(handle_key, None)
        best = dict(points.most_common(INTERESTS * OF_EACH // 2))
        return {one.id: best[one.handle_key] for one in await Findable.of_keys(list(best))}


async def _neighbours(tag: str, handle_key: str) -> Sequence[str]:
    """Those with a tag who come next in the alphabet, which is a circle."""
    after = await Findable.keys(tag, handle_key, OF_EACH)
    if len(after) == OF_EACH:
        return after
    first = await Findable.keys(tag, "", OF_EACH - len(after))
    return list(dict.fromkeys((*after, *first)))
