"""What tests of accounts do as strangers: ask without being anybody, log in, make people up."""

import uuid
from typing import Any

from tests.clients import Http, Reply

PASSWORD = "correct horse battery"


def new_handle(name: str = "p") -> str:
    return f"{name}{uuid.uuid4().hex[:12]}"


def new_person(**changes: Any) -> dict[str, Any]:
    handle = new_handle()
    person = {"email": f"{handle}@example.org", "password": PASSWORD, "name": "Someone", "handle": handle}
    return {**person, **changes}


async def post(url: str, path: str, body: Any = None, **options: Any) -> Reply:
    """Ask as a stranger, on a connection of one's own."""
    async with Http(url) as http:
        return await http.post(path, body, **options)


async def log_in(url: str, who: str, password: str) -> Reply:
    return await post(url, "/api/auth/login", {"identifier": who, "password": password})


async def is_in(http: Http, token: str) -> bool:
    reply = await http.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
    return reply.status == 200


def said(reply: Reply) -> Any:
    """An answer without what differs from request to request."""
    return reply.status, {name: value for name, value in reply.body.items() if name != "request_id"}
