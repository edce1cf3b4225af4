"""What may be uploaded, what it is called, and where it goes."""

import re
from collections.abc import Sequence

from common.errors import AppError, Conflict, Invalid, NotFound, Unavailable
from common.ids import Id, new_id
from documents.media import MediaFile, StorageType, UserImage


class MediaNotFound(NotFound):
    code, text = "media_not_found", "There is no such upload."


class UnsupportedMedia(AppError):
    code, status, text = "unsupported_type", 415, "Files of that kind are not accepted."


class BrokenImage(Invalid):
    code, text = "broken_image", "The image is broken."


class ImageTooLarge(Invalid):
    code, text = "image_too_large", "The image has too many pixels or frames."


class BrokenVideo(Invalid):
    code, text = "broken_video", "The video is broken."


class VideoTooLarge(Invalid):
    code, text = "video_too_large", "The video is too long or too large."


class TooExpensive(Invalid):
    code, text = "too_expensive", "The file takes too much to decode."


REFUSALS: dict[str, type[Invalid]] = {
    kind.code: kind for kind in (BrokenImage, ImageTooLarge, BrokenVideo, VideoTooLarge, TooExpensive)
}
"""What is said of a file that a worker process refuses."""


class UploadBusy(Unavailable):
    code, text = "upload_busy", "Too many uploads are under way. Please try again in a moment."


class UploadStalled(AppError):
    code, status, retryable, text = "upload_stalled", 408, True, "The upload stood still for too long."


class QuotaExceeded(AppError):
    code, status, text = "quota_exceeded", 413, "There is no room left for your uploads."


class ShownTooOften(Conflict):
    code, text = "media_shown_too_often", "This upload is shown in too many places. Please upload it again."


class NoRoom(AppError):
    code, status, retryable = "no_room", 507, True
    text = "There is no room for uploads at the moment."


class StorageDown(Unavailable):
    code, text = "storage_unavailable", "The storage does not answer at the moment. Please try again."


class StillProcessing(AppError):
    code, status, retryable, text = "media_processing", 409, True, "The video is still being prepared."


_ADDRESS = re.compile(r"/api/media/([0-9a-f-]{36})(?:\?.*)?")
_OURS = re.compile(
    r"(media/[0-9a-f]{2}/|pieces/|waiting/|[a-z0-9_-]+/\d{4}/\d{2}/\d{14}_)[0-9a-f-]{36}([./].+)?"
)
STILL_VARIANTS = ("thumb", "small", "medium")
AVIF = "image/avif"


def folder_of(media_id: Id) -> str:
    """What the keys of an upload's files begin with."""
    return f"media/{media_id[:2]}/{media_id}"


def folder_beside(folder: str) -> str:
    """One more such folder, under an id of its own."""
    return f"{folder[:-36]}{new_id()}"


def key_of(folder: str, name: str, extension: str) -> str:
    """Where a file is kept; the one without a name is the upload itself."""
    return f"{folder}/{name}.{extension}" if name else f"{folder}.{extension}"


def folders_of(key: str) -> tuple[str, ...]:
    """The folders whose upload may have a file under that key."""
    path, _, name = key.rpartition("/")
    main = key.rpartition(".")[0] if "." in name else key
    return (main, path) if path else (main,)


def is_ours(key: str) -> bool:
    """Whether a key looks like one of ours: a bucket may hold what others have put there."""
    return _OURS.fullmatch(key) is not None


def picture_ref(image: UserImage) -> str:
    """How an upload is told that a picture shows it."""
    return f"{'avatar' if image.image_type == 'profile' else 'gallery'}:{image.id}"


def arriving_of(key: str) -> Id:
    """The upload under way that may have a piece under that key; empty for what is none."""
    parts = key.split("/")
    return parts[1] if len(parts) > 1 and parts[0] in {"pieces", "waiting"} else ""


def media_in(address: str) -> Id:
    """The upload that an address of ours names; empty for any other."""
    match = _ADDRESS.fullmatch(address)
    return match[1] if match else ""


def storage_for(size: int, disk_from: int, *, has_s3: bool) -> StorageType:
    """Everything goes to the object store, if there is one; else small files to the database."""
    if has_s3:
        return "s3"
    return "mongodb" if size < disk_from else "disk"


def chosen(files: Sequence[MediaFile], variant: str, *, avif: bool) -> MediaFile | None:
    """The file to send for a variant. An image smaller than a variant is that variant itself."""
    fitting = [file for file in files if file.variant == variant]
    if variant in STILL_VARIANTS and not fitting:
        larger = STILL_VARIANTS[STILL_VARIANTS.index(variant) + 1 :]
        names = [*larger, "poster", ""]
        best = next((name for name in names if any(file.variant == name for file in files)), "")
        fitting = [file for file in files if file.variant == best]
    preferred = [file for file in fitting if (file.content_type == AVIF) == avif]
    return next(iter([*preferred, *fitting]), None)


def has_avif(files: Sequence[MediaFile]) -> bool:
    """Whether what is sent depends on what the client takes."""
    return any(file.content_type == AVIF for file in files)
