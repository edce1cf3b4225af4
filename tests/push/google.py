"""Google's part: an OAuth server that sells access for signed assertions, and Firebase that asks for it."""

import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web

Json = Any
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


@dataclass
class Answer:
    status: int = 200
    body: Json = field(default_factory=lambda: {"name": "projects/plaza-test/messages/1"})
    headers: dict[str, str] = field(default_factory=dict)


def unregistered() -> Answer:
    details = [{"@type": FCM_ERROR, "errorCode": "UNREGISTERED"}]
    return Answer(404, {"error": {"code": 404, "status": "NOT_FOUND", "details": details}})


def bad_field(name: str) -> Answer:
    details = [
        {"@type": FCM_ERROR, "errorCode": "INVALID_ARGUMENT"},
        {"@type": BAD_REQUEST, "fieldViolations": [{"field": name, "description": "no"}]},
    ]
    return Answer(400, {"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": details}})


class Google:
    """Both servers. `answers` and `sales` are given in their order, then everything is well."""

    def __init__(self, public_key: Any, email: str, project: str) -> None:
        self._public_key, self._email, self._project = public_key, email, project
        self.sent: list[Json] = []
        self.answers: deque[Answer] = deque()
        self.sales: deque[Answer] = deque()
        self.sold: list[str] = []
        self.valid: set[str] = set()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/token", self._sell)
        app.router.add_post("/v1/projects/{project}/messages:send", self._send)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _sell(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == GRANT
        claims = jwt.decode(
            str(form["assertion"]), self._public_key, algorithms=["RS256"], audience=f"{self.url}/token"
        )
        assert claims["iss"] == self._email
        assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
        assert claims["exp"] <= time.time() + 3600
        if self.sales:
            answer = self.sales.popleft()
            return web.json_response(answer.body, status=answer.status, headers=answer.headers)
        token = f"access-{len(self.sold)}"
        self.sold.append(token)
        self.valid.add(token)
        return web.json_response({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    async def _send(self, request: web.Request) -> web.Response:
        assert request.match_info["project"] == self._project
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if token not in self.valid:
            return web.json_response({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, status=401)
        message = json.loads(await request.text())["message"]
        self.sent.append(message)
        answer = self.answers.popleft() if self.answers else Answer()
        return web.json_response(answer.body, status=answer.status, headers=answer.headers)
