# botocore comes without types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""An object store that speaks S3: AWS, R2, MinIO and their kin.

Small objects go up in one request, larger ones in parts that are aborted when anything goes wrong. Checksums
of botocore's own are off where stores do not ask for them: several answer them wrongly.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from media.storage.port import CHUNK, Kept, Missing, NoRoom, StorageError, StorageType, Stored, Tally, checked

PART = 8 * 1024 * 1024
"""How much of a file is in memory; stores refuse parts under 5 MiB that are not the last."""
CONNECT_SECONDS, READ_SECONDS = 5, 30
_ABSENT = {"NoSuchKey", "NoSuchUpload", "404", "NotFound"}
_FULL = {"EntityTooLarge", "QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "507"}


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where the store is, and how to be let in."""

    url: str | None
    name: str
    region: str
    access_key: str
    secret_key: str
    path_style: bool = True
    public_url: str | None = None
    """Where browsers reach the store for presigned requests, if not where we do."""


@dataclass(frozen=True, slots=True)
class Presigned:
    """A request that somebody else may make, once and as it stands, until it expires."""

    url: str
    headers: dict[str, str]


class S3Storage:
    """Objects in one bucket. `open` before use, `close` at the end."""

    type: StorageType = "s3"

    def __init__(self, bucket: Bucket, connections: int = 50) -> None:
        self._bucket, self._connections = bucket, connections
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._signer: Any = None

    async def open(self) -> None:
        self._client = await self._stack.enter_async_context(self._made(self._bucket.url))
        outside = self._bucket.public_url or self._bucket.url
        self._signer = await self._stack.enter_async_context(self._made(outside))

    async def make_bucket(self) -> None:
        """Make the bucket if it is not there."""
        try:
            await self._client.create_bucket(Bucket=self._bucket.name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise StorageError(error.response["Error"]["Code"]) from error

    def _made(self, url: str | None) -> Any:
        style = "path" if self._bucket.path_style else "virtual"
        config = AioConfig(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=self._connections,
            signature_version="s3v4",
            retries={"max_attempts": 3, "mode": "standard"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": style},
        )
        return get_session().create_client(
            "s3",
            endpoint_url=url,
            region_name=self._bucket.region,
            aws_access_key_id=self._bucket.access_key,
            aws_secret_access_key=self._bucket.secret_key,
            config=config,
        )

    async def close(self) -> None:
        await self._stack.aclose()

    # -- writing

    async def put(self, key: str, chunks: AsyncIterable[bytes]) -> Stored:
        where, tally = self._where(key), Tally(chunks)
        parts = _in_parts(tally)
        first = await anext(parts, b"")
        second = await anext(parts, None) if len(first) >= PART else None
        if second is None:
            with _translated():
                await self._client.put_object(**where, Body=first)
        else:
            await self._put_parts(where, first, second, parts)
        return tally.stored(key)

    async def _put_parts(
        self, where: dict[str, str], first: bytes, second: bytes, rest: AsyncIterator[bytes]
    ) -> None:
        with _translated():
            upload = await self._client.create_multipart_upload(**where)
        this = {**where, "UploadId": upload["UploadId"]}
        done: list[dict[str, Any]] = []
        try:
            for part in (first, second):
                await self._put_part(this, part, done)
            async for part in rest:
                await self._put_part(this, part, done)
            with _translated():
                await self._client.complete_multipart_upload(**this, MultipartUpload={"Parts": done})
        except BaseException:
            await self._abort(this)
            raise

    async def _put_part(self, this: dict[str, str], part: bytes, done: list[dict[str, Any]]) -> None:
        number = len(done) + 1
        with _translated():
            answer = await self._client.upload_part(**this, PartNumber=number, Body=part)
        done.append({"PartNumber": number, "ETag": answer["ETag"]})

    async def _abort(self, this: dict[str, str]) -> None:
        """Also when we are being cancelled; what cannot be aborted now is swept later."""
        abort = asyncio.ensure_future(self._client.abort_multipart_upload(**this))
        with contextlib.suppress(ClientError, BotoCoreError):
            await asyncio.shield(abort)

    async def delete(self, key: str) -> None:
        with _translated(), contextlib.suppress(Missing):
            await self._client.delete_object(**self._where(key))

    # -- reading

    async def read(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        if length == 0:
            return
        end = "" if length is None else str(start + length - 1)
        asked: dict[str, str] = {"Range": f"bytes={start}-{end}"} if start or end else {}
        try:
            with _translated():
                answer = await self._client.get_object(**self._where(key), **asked)
        except _BehindTheEnd:
            return
        async with answer["Body"] as body:
            with _translated():
                async for chunk in body.iter_chunks(CHUNK):
                    yield chunk

    async def find(self, key: str) -> Kept | None:
        try:
            with _translated():
                found = await self._client.head_object(**self._where(key))
        except Missing:
            return None
        return Kept(key, found["ContentLength"], found["LastModified"])

    async def keys(self, prefix: str = "") -> AsyncIterator[Kept]:
        pages = self._client.get_paginator("list_objects_v2")
        with _translated():
            async for page in pages.paginate(Bucket=self._bucket.name, Prefix=prefix):
                for found in page.get("Contents", ()):
                    yield Kept(found["Key"], found["Size"], found["LastModified"])

    async def sweep(self, before: datetime) -> int:
        swept = 0
        pages = self._client.get_paginator("list_multipart_uploads")
        with contextlib.suppress(Missing), _translated():  # some stores miss a bucket's first upload
            async for page in pages.paginate(Bucket=self._bucket.name):
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"] < before:
                        await self._abort({**self._where(upload["Key"]), "UploadId": upload["UploadId"]})
                        swept += 1
        return swept

    # -- for others to do

    async def presign_put(self, key: str, content_type: str, size: int | None, seconds: int) -> Presigned:
        """Let somebody put bytes of that type under a key, exactly `size` of them if that is known."""
        given: dict[str, Any] = {**self._where(key), "ContentType": content_type}
        headers = {"Content-Type": content_type}
        if size is not None:
            given["ContentLength"], headers["Content-Length"] = size, str(size)
        return Presigned(await self._signer.generate_presigned_url("put_object", given, seconds), headers)

    async def presign_get(self, key: str, seconds: int) -> str:
        """Let somebody read a key."""
        return await self._signer.generate_presigned_url("get_object", self._where(key), seconds)

    def _where(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket.name, "Key": checked(key)}


async def _in_parts(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of `PART`; the last one is what is left."""
    part = bytearray()
    async for chunk in chunks:
        part += chunk
        while len(part) >= PART:
            yield bytes(part[:PART])
            del part[:PART]
    if part:
        yield bytes(part)


class _BehindTheEnd(StorageError):
    """A range that begins behind the last byte."""


@contextlib.contextmanager
def _translated() -> Any:
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _ABSENT:
            raise Missing(code) from error
        if code in {"InvalidRange", "416"}:
            raise _BehindTheEnd(code) from error
        raise (NoRoom if code in _FULL else StorageError)(code) from error
    except (BotoCoreError, HTTPClientError, OSError) as error:
        raise StorageError(type(error).__name__) from error
