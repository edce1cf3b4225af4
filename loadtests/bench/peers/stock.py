"""Peer: python-socketio's AsyncServer on aiohttp with its defaults, uvloop, orjson. PORT is the argument."""

import asyncio
import sys
import time
import uuid
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson
import socketio
import uvloop
from aiohttp import web

ROOM = "everyone"


class FastJson:
    """What python-socketio needs of a json module."""

    @staticmethod
    def dumps(value: object, **_: object) -> str:
        return orjson.dumps(value).decode()

    @staticmethod
    def loads(text: str, **_: object) -> Any:
        return orjson.loads(text)


server: Any = socketio.AsyncServer(async_mode="aiohttp", json=FastJson)
numbers = count(1)


@server.event
async def connect(sid: str, _environ: object, _auth: object = None) -> None:
    await server.save_session(sid, {"user_id": str(uuid.uuid4())})
    await server.enter_room(sid, ROOM)


@server.event
async def typing(sid: str, body: dict[str, Any]) -> None:
    user_id = (await server.get_session(sid))["user_id"]
    said = {"conversationId": body["conversationId"], "userId": user_id, "isTyping": body["isTyping"]}
    await server.emit("typing_indicator", said, room=ROOM, skip_sid=sid)


@server.event
async def send_message(sid: str, body: dict[str, Any]) -> dict[str, Any]:
    """The shape of Plaza's `new_message`; nothing is stored."""
    user_id = (await server.get_session(sid))["user_id"]
    nothing = dict.fromkeys(("to", "mediaUrl", "mediaType", "replyTo", "readAt", "editedAt", "deletedAt"))
    own = {"id": str(uuid.uuid4()), "seq": next(numbers), "from": user_id, "reactions": {}, "read": False}
    said = {**own, **nothing, **body, "createdAt": datetime.now(UTC).isoformat(), "rev": 0}
    await server.emit("new_message", said, room=ROOM)
    return {"ok": True, "data": said}


@server.event
async def ping(_sid: str, _body: object) -> dict[str, Any]:
    return {"ok": True, "data": {"time": time.time_ns() // 1_000_000}}


async def main(port: int) -> None:
    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
