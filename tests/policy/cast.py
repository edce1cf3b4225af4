"""The cast of the policy tests: two people for each relation, and things that belong to one of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from realtime.policy.table import Relation
from tests.accounts import log_in
from tests.clients import Device, Http, Person, new_key, sign_up
from tests.conftest import Node
from tests.staff import act, case_about, new_admin, put, report

THINGS = (
    "person", "username", "session", "notification", "group", "message", "chat", "chat_message", "device",
    "case", "action", "medium", "picture", "upload",
)  # fmt: skip
"""Words for a person and what is theirs. `chat` is the viewer's and theirs, `group` is only theirs."""

PIXEL = b"GIF87a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
"""As small as an image can be."""

MINE = ("me", "my_id", "my_group", "my_token", "my_password", "company")
"""Words for the viewer and what is theirs."""

Words = dict[str, str]


def nobody() -> Words:
    """The same words for somebody who does not exist and has nothing."""
    return {thing: new_key() for thing in THINGS} | {"username": f"nobody{new_key()[:8]}"}


@dataclass
class Pair:
    """A viewer, another person, and what the first is to the second."""

    relation: Relation
    viewer: Person
    other: Person
    admin: Person
    theirs: Words
    mine: Words
    device: Device

    async def relate(self) -> None:
        """Make the two what they are to be, whatever a request has made of them."""
        viewer, other = self.viewer.http, self.other.http
        to_other, to_viewer = {"userId": self.other.id}, {"userId": self.viewer.id}
        clean = (viewer, to_other, "block"), (viewer, to_other, "unblock")
        steps = {
            Relation.FRIEND: (*clean, (viewer, to_other, "request"), (other, to_viewer, "accept")),
            Relation.PENDING: (*clean, (viewer, to_other, "request")),
            Relation.STRANGER: clean,
            Relation.ADMIN: clean,
            Relation.BLOCKING: ((viewer, to_other, "block"),),
            Relation.BLOCKED_BY: ((other, to_viewer, "block"),),
        }
        for http, body, step in steps.get(self.relation, ()):
            assert (await http.post(f"/api/friends/{step}", body)).status == 200


@dataclass
class Stage:
    """Where pairs are made: a node, an administrator, and somebody whom all others know."""

    node: Node
    admin: Person
    company: Person

    async def pair(self, relation: Relation) -> Pair:
        """Two people who are that to each other; before, they have written to each other."""
        viewer = await (
            new_admin(self.node) if relation is Relation.ADMIN else sign_up(self.node.url, "viewer")
        )
        other = viewer if relation is Relation.SELF else await sign_up(self.node.url, "other")
        theirs, mine = await self._things(viewer, other), await self._own(viewer)
        pair = Pair(relation, viewer, other, self.admin, theirs, mine, await viewer.device())
        if relation is Relation.BANNED:
            await act(self.admin, other.id, "ban")
        elif relation is Relation.NOT_APPROVED:
            assert (await put(self.admin, other.id, is_approved=False)).status == 200
        else:
            await pair.relate()
        return pair

    async def _things(self, viewer: Person, other: Person) -> Words:
        """One of everything that can belong to a person."""
        company = self.company
        asked = await company.http.post("/api/friends/request", {"userId": other.id})
        assert asked.status == 200, asked.body
        await log_in(self.node.url, other.handle, other.password)
        group = await _made(other.http, "/api/conversations", name="theirs", memberIds=[company.id])
        message = await _said(other.http, conversationId=group["id"])
        chat = await _said(viewer.http, to=other.id) if viewer is not other else {}
        device = await _made(other.http, "/api/devices", platform="android", token=f"{'d' * 140}{new_key()}")
        await report(company, "user", other.id)
        case = await case_about(self.admin, other.id)
        action = await act(self.admin, other.id, "warn")
        medium = (await other.upload(PIXEL)).data
        shown = await other.http.patch(f"/api/users/{other.id}/profile", {"coverPhoto": medium["id"]})
        assert shown.status == 200, shown.body
        fields = {"username": other.handle, "image_type": "gallery"}
        picture = (await other.upload(PIXEL, "/api/upload_user_image/", **fields)).data
        sessions = (await other.http.get("/api/auth/sessions")).data
        notifications = (await other.http.get("/api/notifications")).data
        return {
            **nobody(),
            "person": other.id,
            "username": other.handle,
            "session": next(one["id"] for one in sessions if not one["current"]),
            "notification": notifications[0]["id"],
            "group": group["id"],
            "message": message["id"],
            "device": device["id"],
            "case": case["id"],
            "action": action["id"],
            "medium": medium["id"],
            "picture": picture["id"],
            "upload": await _begun(other.http),
            **({"chat": chat["conversationId"], "chat_message": chat["id"]} if chat else {}),
        }

    async def _own(self, viewer: Person) -> Words:
        """What a viewer says about themselves."""
        group = await _made(viewer.http, "/api/conversations", name="mine")
        return {
            "me": viewer.handle,
            "my_id": viewer.id,
            "my_group": group["id"],
            "my_token": viewer.token,
            "my_password": viewer.password,
            "company": self.company.id,
        }


async def _made(http: Http, path: str, **body: Any) -> Any:
    reply = await http.post(path, body)
    assert reply.status == 201, reply.body
    return reply.data


async def _said(http: Http, **where: Any) -> Any:
    return await _made(http, "/api/messages", text="hello", clientId=new_key(), **where)


async def _begun(http: Http) -> str:
    """The id of an upload that is under way."""
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "10"}
    reply = await http.ask("POST", "/api/uploads", headers=headers)
    assert reply.status == 201, reply.body
    return reply.data["id"]


@asynccontextmanager
async def a_stage(node: Node) -> AsyncIterator[Stage]:
    """Set it up; on leaving, the two who are always there go."""
    stage = Stage(node, await new_admin(node), await sign_up(node.url, "company"))
    yield stage
    await stage.company.leave()
    await stage.admin.leave()


@asynccontextmanager
async def a_cast(stage: Stage, *relations: Relation) -> AsyncIterator[dict[Relation, Pair]]:
    """A pair for each relation; they leave together."""
    pairs = await asyncio.gather(*(stage.pair(relation) for relation in relations))
    yield {pair.relation: pair for pair in pairs}
    for pair in pairs:
        await pair.viewer.leave()
        await pair.other.leave()
