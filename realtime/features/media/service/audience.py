"""Who may see an upload: its owner, and whoever may see one of the things that refer to it."""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from common.clock import now
from common.ids import Id
from documents.media import Media
from realtime.features.media import rules
from realtime.features.media.schemas import SignedOut, address_of
from realtime.policy import Policy, Verb

Sees = Callable[[Id | None, Sequence[Id], Id], Awaitable[bool]]
"""Whether a viewer (None: anybody) sees one of the things of these ids, of that owner."""

TAG = 24


class Audience:
    """Asks what refers to an upload. A new kind of reference brings its own question."""

    def __init__(self, policy: Policy, secret: bytes, lifetime: int, cdn: str = "") -> None:
        self._policy, self._lifetime, self._cdn = policy, timedelta(seconds=lifetime), cdn.rstrip("/")
        self._secret = hashlib.blake2b(secret, person=b"plaza media", digest_size=32).digest()
        self._kinds: dict[str, Sees] = {
            "avatar": self._avatar,
            "cover": self._pictures,
            "gallery": self._pictures,
        }

    def register(self, kind: str, sees: Sees) -> None:
        """References `kind:<id>` are asked about here."""
        self._kinds[kind] = sees

    async def find(self, viewer: Id | None, media_id: Id) -> Media:
        """An upload that the viewer may see; raises `MediaNotFound`."""
        media = await Media.visible(media_id)
        if media is None or not await self._may_see(viewer, media):
            raise rules.MediaNotFound
        return media

    async def _may_see(self, viewer: Id | None, media: Media) -> bool:
        if viewer == media.owner:
            return True
        things: defaultdict[str, list[Id]] = defaultdict(list)
        for ref in media.refs:
            kind, _, thing = ref.partition(":")
            things[kind].append(thing)
        for kind, ids in things.items():
            sees = self._kinds.get(kind)
            if sees is not None and await sees(viewer, ids, media.owner):
                return True
        return False

    def is_public(self, media: Media) -> bool:
        """Whether anybody sees it, so that caches between may keep it."""
        return any(ref.startswith("avatar:") for ref in media.refs)

    async def _avatar(self, viewer: Id | None, _: Sequence[Id], owner: Id) -> bool:
        """Anybody; but to whom its person is absent, it is, too."""
        if viewer is None:
            return await self._policy.takes_part(owner)
        return await self._policy.can(viewer, Verb.SEE_PROFILE, owner)

    async def _pictures(self, viewer: Id | None, _: Sequence[Id], owner: Id) -> bool:
        return viewer is not None and await self._policy.can(viewer, Verb.SEE_MEDIA, owner)

    # -- addresses that need no token

    async def sign(self, viewer: Id, media_id: Id) -> SignedOut:
        """An address for who cannot send headers. It stands for `viewer`, and is asked about at each use.

        What anybody sees is at the CDN, if there is one, and needs no signature.
        """
        media = await self.find(viewer, media_id)
        until = (now() + self._lifetime).replace(microsecond=0)
        if self._cdn and self.is_public(media):
            return SignedOut(url=f"{self._cdn}{address_of(media_id)}", expires_at=until)
        seconds = int(until.timestamp())
        tag = self._tag(media_id, viewer, seconds)
        url = f"{address_of(media_id)}?viewer={viewer}&expires={seconds}&signature={tag}"
        return SignedOut(url=url, expires_at=until)

    def signed_viewer(self, media_id: Id, viewer: Id, expires: int, signature: str) -> Id:
        """Whom a signed address stands for; raises `MediaNotFound` when it was altered or has expired."""
        given = signature.encode(errors="replace")
        is_ours = hmac.compare_digest(given, self._tag(media_id, viewer, expires).encode())
        if not is_ours or datetime.fromtimestamp(expires, tz=now().tzinfo) < now():
            raise rules.MediaNotFound
        return viewer

    def _tag(self, media_id: Id, viewer: Id, expires: int) -> str:
        message = f"{media_id}|{viewer}|{expires}".encode()
        return hmac.digest(self._secret, message, hashlib.sha256).hex()[: TAG * 2]
