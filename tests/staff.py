"""People with roles, made as the command line and administrators make them."""

from typing import Any

from realtime.features.accounts.schemas.admin import AdminIn
from tests.accounts import PASSWORD, log_in, new_handle
from tests.clients import Http, Person, Reply
from tests.conftest import Node


async def new_admin(node: Node) -> Person:
    """An administrator who is logged in."""
    name = new_handle("root")
    user = await node.services.accounts.create_admin(AdminIn(username=name, password=PASSWORD))
    tokens = (await log_in(node.url, name, PASSWORD)).body
    http = await Http(node.url, tokens["token"]).__aenter__()
    return Person(http, user.id, name, "", PASSWORD, tokens["token"], tokens["refresh_token"])


async def put(admin: Person, user_id: str, **fields: Any) -> Reply:
    """Set fields of an account."""
    return await admin.http.ask("PUT", f"/api/admin/users/{user_id}", json=fields)


async def act(admin: Person, user_id: str, action: str, **fields: Any) -> Any:
    """Do something about somebody; what was done."""
    body = {"action": action, "reason": "you know why", **fields}
    reply = await admin.http.post(f"/api/admin/users/{user_id}/actions", body)
    assert reply.status == 201, reply.body
    return reply.data


async def report(who: Person, target_type: str, target_id: str, **fields: Any) -> Any:
    """Report something; the report."""
    body = {"targetType": target_type, "targetId": target_id, "reason": "harassment", **fields}
    reply = await who.http.post("/api/reports", body)
    assert reply.status == 201, reply.body
    return reply.data


async def case_about(moderator: Person, target_id: str, **query: Any) -> Any:
    """The case about a target in the queue; None when there is none."""
    cursor: dict[str, str] = {}
    while True:
        page = await moderator.http.get("/api/admin/reports", params={"limit": 100, **query, **cursor})
        found = [case for case in page.data if case["targetId"] == target_id]
        if found:
            return found[0]
        following = page.body["pagination"]["next_cursor"]
        if following is None:
            return None
        cursor = {"cursor": following}
