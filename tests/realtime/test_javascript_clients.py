"""The official JavaScript client, as apps use it, holds a conversation through Plaza and loses nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.clients import Person, new_key
from tests.conftest import MakeSettings, Node, SignUp, StartNode
from tests.js.driver import App, Json, Line

WEBSOCKET = {"transports": ["websocket"]}
POLLING = {"transports": ["polling"]}
DEFAULTS: dict[str, Json] = {}
TRANSPORTS = [DEFAULTS, WEBSOCKET, POLLING]

OpenApp = Callable[..., Awaitable[App]]
OpenLine = Callable[..., Awaitable[Line]]

any_transport = pytest.mark.parametrize(
    "options",
    [
        pytest.param(DEFAULTS, id="default-options"),
        pytest.param(WEBSOCKET, id="websocket-only"),
        pytest.param(POLLING, id="polling-only"),
    ],
)


@pytest.fixture
async def open_app(plaza: Node) -> AsyncIterator[OpenApp]:
    """Start an app with a token, at the shared node unless another address is given."""
    async with AsyncExitStack() as apps:

        async def start(token: str | None, url: str | None = None, **options: Any) -> App:
            return await apps.enter_async_context(App(url or plaza.url, token, **options))

        yield start


@pytest.fixture
async def open_line(plaza: Node) -> AsyncIterator[OpenLine]:
    """Lay a line to the shared node, or to another."""
    async with AsyncExitStack() as lines:

        async def lay(url: str | None = None, **options: Any) -> Line:
            return await lines.enter_async_context(Line(url or plaza.url, **options))

        yield lay


async def is_settled(app: App, options: dict[str, Json]) -> None:
    """Connected, on the transport on which it will stay."""
    await app.tells("synced")
    if options == DEFAULTS:
        await app.tells("upgraded")


def texts(messages: list[Json]) -> list[str]:
    return [message["text"] for message in messages]


def seqs(messages: list[Json]) -> list[int]:
    return [message["seq"] for message in messages]


# -- a conversation


@pytest.mark.parametrize(
    ("options", "first", "then"),
    [
        pytest.param(DEFAULTS, "polling", ["websocket"], id="default-options"),
        pytest.param(WEBSOCKET, "websocket", [], id="websocket-only"),
        pytest.param(POLLING, "polling", [], id="polling-only"),
    ],
)
async def test_two_apps_hold_a_conversation(
    ann: Person, bob: Person, open_app: OpenApp, options: dict[str, Json], first: str, then: list[str]
) -> None:
    anns, bobs = await open_app(ann.token, **options), await open_app(bob.token, **options)
    await is_settled(anns, options)
    await is_settled(bobs, options)

    answers: list[Json] = []
    for n in range(5):
        for app, to in ((anns, bob), (bobs, ann)):
            body = {"to": to.id, "text": f"{n} ✓ for {to.handle}", "clientId": new_key()}
            answers.append(await app.call("send_message", body))

    assert all(answer["ok"] for answer in answers)
    stored = [answer["data"] for answer in answers]
    assert seqs(stored) == list(range(1, 11))
    assert await anns.shows(10) == await bobs.shows(10) == stored
    for app in (anns, bobs):
        assert (app.told("opened"), app.told("upgraded"), app.told("disconnected")) == ([first], then, [])


async def test_an_app_gets_indicators_and_one_ack_for_everything(
    ann: Person, bob: Person, open_app: OpenApp
) -> None:
    anns, bobs = await open_app(ann.token), await open_app(bob.token)
    await anns.tells("synced")
    await bobs.tells("synced")
    assert (await anns.call("join_room", {"friendId": bob.id}))["data"]["seq"] == 0

    assert (await anns.call("typing", {"to": bob.id, "isTyping": True}))["ok"]

    assert (await bobs.hears("typing_indicator"))["userId"] == ann.id
    assert (await anns.call("no_such_event", {}))["error"]["code"] == "unknown_event"
    assert (await anns.call("send_message", {"to": bob.id}))["error"]["errors"] == [
        {"field": "clientId", "message": "Field required"}
    ]


async def test_nothing_is_lost_or_turned_round_while_apps_upgrade(
    ann: Person, bob: Person, open_app: OpenApp, open_line: OpenLine
) -> None:
    slow = await open_line(latency=0.1)
    anns = await ann.device()
    await anns.send("the first", to=bob.id)
    apps = [await open_app(bob.token, slow.url) for _ in range(3)]

    for n in range(20):
        await anns.send("meanwhile", to=bob.id)
        for app in apps:
            app.order("call", ["send_message", {"to": ann.id, "text": f"{n}", "clientId": new_key()}])
    while not all(app.told("upgraded") for app in apps):
        await anns.send("meanwhile", to=bob.id)
    for app in apps:
        await app.tells("answer", 20)
        assert texts([answer["data"] for answer in app.told("answer")]) == [f"{n}" for n in range(20)]
    last = (await anns.send("the last", to=bob.id))["seq"]

    for app in apps:
        await app.until(lambda app=app: last in app.told("live"))
        live = app.told("live")
        assert live == list(range(live[0], last + 1))
    by_polling = [
        part for part in slow.carried if part.startswith(b"HTTP/1.1 200") and b"new_message" in part
    ]
    assert by_polling, "said while they upgraded"


@any_transport
async def test_an_app_may_have_much_to_say_at_once(
    ann: Person, bob: Person, open_app: OpenApp, options: dict[str, Json]
) -> None:
    app = await open_app(ann.token, **options)
    said = [f"{n}" for n in range(50)]

    for text in said:
        app.order("call", ["send_message", {"to": bob.id, "text": text, "clientId": new_key()}])

    await app.tells("answer", len(said))
    assert texts([answer["data"] for answer in app.told("answer")]) == said
    assert app.told("disconnected") == []


async def test_an_app_whose_upgrade_gets_nowhere_goes_on_polling(
    ann: Person, bob: Person, open_app: OpenApp, open_line: OpenLine
) -> None:
    proxy = await open_line(swallows_frames=True)
    anns, bobs = await ann.device(), await open_app(bob.token, proxy.url)
    await bobs.tells("synced")

    for n in range(5):
        await anns.send(f"{n}", to=bob.id)

    assert texts(await bobs.shows(5)) == ["0", "1", "2", "3", "4"]
    assert (bobs.told("opened"), bobs.told("upgraded")) == (["polling"], [])


# -- a connection that breaks


async def test_apps_come_back_by_themselves_and_miss_nothing(
    ann: Person, bob: Person, cyd: Person, open_app: OpenApp, open_line: OpenLine
) -> None:
    line = await open_line()
    anns, cyds = await ann.device(), await cyd.device()
    bobs = [await open_app(bob.token, line.url, **options) for options in TRANSPORTS]
    for app, options in zip(bobs, TRANSPORTS, strict=True):
        await is_settled(app, options)
    await anns.send("before", to=bob.id)
    for app in bobs:
        await app.shows(1)

    line.cut()
    for app in bobs:
        assert (await app.tells("disconnected"))["returns"]
    for n in range(3):
        await anns.send(f"meanwhile {n}", to=bob.id)
    await cyds.send("from someone new", to=bob.id)
    line.mend()
    for app in bobs:
        await app.tells("synced", 2)
    await anns.send("after", to=bob.id)

    for app in bobs:
        shown = await app.shows(6)
        assert app.told("live") == [1, 5], "the others came by sync"
        from_ann = [message for message in shown if message["from"] == ann.id]
        assert texts(from_ann) == ["before", "meanwhile 0", "meanwhile 1", "meanwhile 2", "after"]
        assert seqs(from_ann) == [1, 2, 3, 4, 5]
        assert texts([message for message in shown if message["from"] == cyd.id]) == ["from someone new"]


async def test_what_an_app_repeats_for_want_of_an_answer_is_stored_once(
    ann: Person, bob: Person, open_app: OpenApp, open_line: OpenLine
) -> None:
    line = await open_line()
    bobs = await bob.device()
    anns = await open_app(ann.token, line.url, retries=10, **WEBSOCKET)
    await anns.tells("synced")
    said = [f"{n}" for n in range(6)]

    line.lose_answers()
    for text in said:
        anns.order("call", ["send_message", {"to": bob.id, "text": text, "clientId": new_key()}])
    await bobs.wait_for("new_message")
    assert anns.told("answer") == []
    line.cut()
    await anns.tells("disconnected")
    line.mend()

    await anns.tells("answer", len(said))
    assert texts([answer["data"] for answer in anns.told("answer")]) == said
    assert texts(await anns.shows(len(said))) == said
    history = (await bob.http.get(f"/api/messages/{ann.id}")).data
    assert sorted(texts(history)) == said


async def test_an_app_notices_a_line_that_went_dead_without_a_word(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp, open_app: OpenApp, open_line: OpenLine
) -> None:
    node = await start_node(make_settings(timeouts={"ping_interval": 0.3, "ping_timeout": 0.3}))
    line = await open_line(node.url)
    ann, bob = await join("ann", node.url), await join("bob", node.url)
    bobs = await open_app(bob.token, line.url, **WEBSOCKET)
    await bobs.tells("pinged", 3)
    assert bobs.told("disconnected") == []

    line.lose_answers()
    await (await ann.device()).send("into the void", to=bob.id)

    assert await bobs.tells("disconnected") == {"reason": "ping timeout", "returns": True}
    assert texts(await bobs.shows(1)) == ["into the void"]
    assert len(bobs.told("connected")) == 2


# -- a node that goes


async def test_apps_go_on_at_the_next_node_when_their_own_stops(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp, open_app: OpenApp, open_line: OpenLine
) -> None:
    settings = make_settings()
    first, second = await start_node(settings), await start_node(settings)
    line = await open_line(first.url)
    ann, bob = await join("ann", second.url), await join("bob", second.url)
    anns = await ann.device()
    bobs = [await open_app(bob.token, line.url, **options) for options in TRANSPORTS]
    for app, options in zip(bobs, TRANSPORTS, strict=True):
        await is_settled(app, options)

    line.mend(second.url)
    await first.server.stop()
    for app in bobs:
        assert (await app.tells("disconnected"))["returns"]
    await anns.send("meanwhile", to=bob.id)
    for app in bobs:
        await app.tells("connected", 2)
    await anns.send("after", to=bob.id)

    for app in bobs:
        assert texts(await app.shows(2)) == ["meanwhile", "after"]


async def test_a_node_that_drains_hands_its_apps_over(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp, open_app: OpenApp, open_line: OpenLine
) -> None:
    settings = make_settings(timeouts={"drain": 1.0})
    first, second = await start_node(settings), await start_node(settings)
    line = await open_line(first.url)
    ann = await join("ann", second.url)
    apps = [await open_app(ann.token, line.url, **WEBSOCKET) for _ in range(3)]
    for app in apps:
        await app.tells("connected")

    line.mend(second.url)
    await first.server.drain()

    assert first.services.gateway.sessions == ()
    for app in apps:
        await app.tells("connected", 2)
        assert app.told("disconnected") == [{"reason": "io client disconnect", "returns": False}]
        assert app.told("refused") == []


# -- who is refused


@pytest.mark.parametrize("token", [None, "rubbish"])
async def test_a_bad_token_is_refused_with_the_error_object_and_a_good_one_connects(
    ann: Person, open_app: OpenApp, token: str | None
) -> None:
    apps = [await open_app(token, **options) for options in TRANSPORTS]
    for app in apps:
        refusal = await app.tells("refused")

        error = refusal["data"]
        assert (error["success"], error["status_code"], error["retryable"]) == (False, 401, False)
        assert error["code"] == "invalid_token"
        assert refusal["message"] == error["message"] == error["error"]
        assert error["request_id"]
        assert refusal["returns"] is False, "knocking again with the same token is of no use"

        app.order("connect", ann.token)
        await app.tells("synced")
        assert len(app.told("refused")) == 1


@any_transport
async def test_signing_out_tells_an_app_why_and_it_stays_away(
    ann: Person, open_app: OpenApp, options: dict[str, Json]
) -> None:
    app = await open_app(ann.token, **options)
    await is_settled(app, options)

    assert (await ann.http.post("/api/auth/logout")).status == 200

    assert (await app.hears("session_ended"))["code"] == "signed_out"
    assert await app.tells("disconnected") == {"reason": "io server disconnect", "returns": False}
    app.order("connect", ann.token)
    assert (await app.tells("refused"))["data"]["status_code"] == 401


async def test_a_page_of_a_foreign_origin_is_refused(ann: Person, open_app: OpenApp) -> None:
    foreign = {"Origin": "https://evil.example.org"}
    pages = [await open_app(ann.token, extraHeaders=foreign, **options) for options in TRANSPORTS]
    for page in pages:
        refusal = await page.tells("refused")

        assert "403" in str(refusal["because"])
        assert page.told("opened") == page.told("connected") == []


async def test_our_own_page_connects(plaza: Node, ann: Person, open_app: OpenApp) -> None:
    page = await open_app(ann.token, extraHeaders={"Origin": plaza.url})

    await is_settled(page, DEFAULTS)

    assert page.told("refused") == []
