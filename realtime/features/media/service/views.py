"""Uploads as the wire shows them."""

from documents.media import Media
from realtime.features.media.schemas import MediaOut, address_of


def shown(media: Media) -> MediaOut:
    """An upload as its owner sees it."""
    url = address_of(media.id)
    main = next((file for file in media.files if not file.variant), media.source or media.files[0])
    names = dict.fromkeys(file.variant for file in media.files if file.variant)
    return MediaOut(
        id=media.id,
        url=url,
        filename=media.filename,
        content_type=main.content_type,
        size=main.size,
        storage_type=main.storage_type,
        sha256=main.sha256,
        width=media.width,
        height=media.height,
        duration=media.duration,
        blurhash=media.blurhash,
        animated=media.animated,
        variants={name: f"{url}?variant={name}" for name in names},
        state="ready" if media.state == "ready" else "processing",
        uploaded_at=media.uploaded_at,
    )
