"""From somebody's doing to somebody's phone, and off it again: everything between in its place."""

import pytest

from documents.push import PushDelivery, PushDevice
from documents.rows import rows
from tests.clients import Person, eventually
from tests.conftest import MakeSettings, Node, SignUp, StartNode
from tests.push.apple import Apple
from tests.push.conftest import MakePush, iphone, outbox


@pytest.fixture
async def node(start_node: StartNode, make_settings: MakeSettings, push_settings: MakePush) -> Node:
    await rows(PushDelivery).delete_many({})
    await rows(PushDevice).delete_many({})
    return await start_node(make_settings(push=push_settings()))


async def test_p21_a_request_reaches_the_phone_and_reading_it_on_the_laptop_removes_it(
    node: Node, apple: Apple, join: SignUp
) -> None:
    ann, bob = await join("ann", node.url), await join("bob", node.url)
    phone = await iphone(bob)

    await ann.http.post("/api/friends/request", {"userId": bob.id})
    await eventually(lambda: len(apple.alerts) == 1)
    [listed] = (await bob.http.get("/api/notifications")).data
    await bob.http.patch(f"/api/notifications/{listed['id']}/read")
    await eventually(lambda: len(apple.removals) == 1)
    await eventually(lambda: _is_empty(bob))

    alert, removal = apple.asked
    assert alert.token == removal.token == phone
    assert (alert.body["type"], alert.body["notification_id"]) == ("friend_request", listed["id"])
    assert alert.body["aps"]["badge"] == 1
    assert removal.body["keys"] == [alert.body["key"]]


async def _is_empty(person: Person) -> bool:
    return await outbox(person) == []
