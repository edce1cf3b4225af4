"""What people try who want into the accounts of others: a clear refusal, and the owner notices nothing."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from common.ids import new_id
from common.tokens import AccessTokens, Subject, new_token
from documents.accounts import AdminAudit, LoginFailures, LoginSession, User
from documents.rows import rows
from tests.accounts import PASSWORD, is_in, log_in, new_handle, new_person, post, said
from tests.clients import Http, Person, Reply, sign_up
from tests.conftest import SECRET, MakeSettings, Node, StartNode


@pytest.fixture(autouse=True)
async def no_attempts_yet(plaza: Node) -> None:
    """All tests come from one address; none inherits the failures of another."""
    await rows(LoginFailures).delete_many({})


# -- access tokens

Json = dict[str, Any]


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def written(value: Any) -> str:
    return encoded(value if isinstance(value, bytes) else json.dumps(value).encode())


def signed(header: Any, payload: Any, *, key: bytes = SECRET.encode(), digest: str = "sha256") -> str:
    content = f"{written(header)}.{written(payload)}"
    return f"{content}.{encoded(hmac.digest(key, content.encode(), digest))}"


HEADER: Json = {"alg": "HS256", "typ": "at+jwt"}


def header(**changes: Any) -> Callable[[Json], str]:
    """A token with a good signature and another header."""
    return lambda payload: signed({**HEADER, **changes}, payload)


def payload(**changes: Any) -> Callable[[Json], str]:
    """A token with a good signature and another payload."""
    return lambda payload: signed(HEADER, {**payload, **changes})


def without(name: str) -> Callable[[Json], str]:
    return lambda payload: signed(HEADER, {key: value for key, value in payload.items() if key != name})


def good(change: Callable[[str], str]) -> Callable[[Json], str]:
    """A good token, changed as text."""
    return lambda payload: change(signed(HEADER, payload))


def raw(text: str) -> Callable[[Json], str]:
    """A token with a good signature whose payload is this text; `{}` stands for the good one, unclosed."""
    return lambda payload: signed(HEADER, (json.dumps(payload)[:-1] + text).encode())


NOW = int(time.time())
MUTANTS: dict[str, Callable[[Json], str]] = {
    "alg none without signature": lambda payload: f"{written({'alg': 'none'})}.{written(payload)}.",
    "alg none with typ": lambda payload: f"{written({**HEADER, 'alg': 'none'})}.{written(payload)}.",
    "alg NONE with a signature": header(alg="NONE"),
    "alg HS512": lambda payload: signed({**HEADER, "alg": "HS512"}, payload, digest="sha512"),
    "alg HS384 said, HS256 signed": header(alg="HS384"),
    "alg RS256": header(alg="RS256"),
    "alg in a list": header(alg=["HS256"]),
    "alg missing": lambda payload: signed({"typ": "at+jwt"}, payload),
    "typ JWT": header(typ="JWT"),
    "typ of an id token": header(typ="id+jwt"),
    "typ missing": lambda payload: signed({"alg": "HS256"}, payload),
    "kid of a file": header(kid="../../dev/null"),
    "kid of a query": header(kid="' OR 1=1 --"),
    "jku": header(jku="https://evil.example/keys"),
    "x5u": header(x5u="https://evil.example/cert"),
    "jwk": header(jwk={"kty": "oct", "k": "AAAA"}),
    "crit": header(crit=["exp"]),
    "b64 false": header(b64=False, crit=["b64"]),
    "zip": header(zip="DEF"),
    "header twice": lambda payload: signed(b'{"alg":"none","alg":"HS256","typ":"at+jwt"}', payload),
    "header is a list": lambda payload: signed(["HS256"], payload),
    "iss of another": payload(iss="evil"),
    "iss in a list": payload(iss=["plaza"]),
    "aud of another": payload(aud="other"),
    "aud in a list": payload(aud=["plaza"]),
    "sub missing": without("sub"),
    "sub a number": payload(sub=1),
    "sub no id": payload(sub="admin"),
    "sub an operator": payload(sub={"$ne": None}),
    "sub in capitals": lambda payload: signed(HEADER, {**payload, "sub": payload["sub"].upper()}),
    "sid missing": without("sid"),
    "sid of nothing": payload(sid=str(uuid.uuid4())),
    "sid null": payload(sid=None),
    "jti missing": without("jti"),
    "jti no id": payload(jti="x"),
    "iat missing": without("iat"),
    "iat in the future": payload(iat=NOW + 3600),
    "exp missing": without("exp"),
    "exp null": payload(exp=None),
    "exp as text": payload(exp=str(NOW + 3600)),
    "exp a float": payload(exp=NOW + 3600.5),
    "exp endless": raw(', "exp": 1e999}'),
    "exp not a number": raw(', "exp": NaN}'),
    "exp true": payload(exp=True),
    "exp before iat": payload(exp=NOW - 10, iat=NOW),
    "nbf added": payload(nbf=0),
    "a role added": payload(is_admin=True),
    "sub twice": raw(f', "sub": "{uuid.uuid4()}"}}'),
    "payload not an object": lambda _: signed(HEADER, [1]),
    "payload not JSON": lambda _: signed(HEADER, b"{"),
    "payload nested deeply": lambda _: signed(HEADER, b"[" * 2000 + b"]" * 2000),
    "payload of invalid UTF-8": lambda _: signed(HEADER, b'{"sub": "\xff"}'),
    "another key": lambda payload: signed(HEADER, payload, key=b"x" * 32),
    "an empty key": lambda payload: signed(HEADER, payload, key=b""),
    "signature empty": good(lambda token: token.rpartition(".")[0] + "."),
    "signature missing": good(lambda token: token.rpartition(".")[0]),
    "signature cut": good(lambda token: token[:-1]),
    "signature written another way": good(lambda token: token[:-1] + chr(ord(token[-1]) + 1)),
    "signature padded": good(lambda token: token + "="),
    "signature with noise": good(lambda token: token[:-4] + "!" + token[-4:]),
    "a fourth part": good(lambda token: token + ".x"),
    "a dot in front": good(lambda token: "." + token),
    "payload of another token": good(lambda token: token.replace(token[60:70], token[70:80])),
    "nested": lambda payload: signed(HEADER, written(signed(HEADER, payload)).encode()),
    "very long": good(lambda token: token + "x" * 7000),
    "a hash of the key": lambda payload: signed(
        HEADER, payload, key=hashlib.sha256(SECRET.encode()).digest()
    ),
}


@pytest.fixture(scope="module")
async def victim(plaza: Node) -> AsyncIterator[Person]:
    """Somebody whose session others are after."""
    person = await sign_up(plaza.url, "victim")
    yield person
    await person.leave()


@pytest.fixture(scope="module")
async def claims(victim: Person) -> Json:
    """What the victim's token says."""
    content = victim.token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))


async def test_the_mutants_come_from_a_token_that_is_accepted(victim: Person, claims: Json) -> None:
    assert len(MUTANTS) >= 40
    assert await is_in(victim.http, signed(HEADER, claims))


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_token_that_is_odd_in_any_way_is_refused(victim: Person, claims: Json, name: str) -> None:
    token = MUTANTS[name](claims)

    reply = await victim.http.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})

    assert reply.status == 401, name
    assert reply.code == ("session_ended" if name == "sid of nothing" else "invalid_token")


async def test_all_odd_tokens_get_the_same_answer(victim: Person, claims: Json) -> None:
    tokens = [MUTANTS[name](claims) for name in ("alg HS512", "aud of another", "another key", "sub twice")]
    replies = [
        await victim.http.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
        for token in tokens
    ]
    assert len({json.dumps(said(reply)) for reply in replies}) == 1


async def test_a_token_is_good_only_for_what_it_was_made(ann: Person) -> None:
    opaque, access = new_token("plp_"), ann.token

    async def code(path: str, body: Json) -> str:
        reply = await post(ann.http.url, path, body)
        assert reply.status == 401
        return reply.code

    as_bearer = await ann.http.get("/api/auth/me", headers={"Authorization": f"Bearer {ann.refresh_token}"})
    assert as_bearer.code == "wrong_token_type"
    assert await code("/api/auth/refresh", {"refresh_token": access}) == "wrong_token_type"
    assert await code("/api/auth/refresh", {"refresh_token": opaque}) == "wrong_token_type"
    assert await code("/api/auth/refresh", {"refresh_token": new_token("plr_")}) == "invalid_token"
    for token in (access, ann.refresh_token):
        reset = {"token": token, "password": PASSWORD}
        assert await code("/api/auth/reset-password", reset) == "wrong_token_type"
    assert await code("/api/auth/reset-password", {"token": opaque, "password": PASSWORD}) == "invalid_token"
    assert await is_in(ann.http, ann.token)


async def test_a_token_of_somebody_who_is_gone_is_refused(ann: Person) -> None:
    login = await rows(LoginSession).find_one({"user_id": ann.id})
    assert login is not None
    stranger = Subject(new_id(), login["_id"], "stranger")
    token = AccessTokens(SECRET.encode()).issue(stranger, int(time.time()), 3600)
    assert not await is_in(ann.http, token)


async def test_reuse_of_a_refresh_token_leaves_an_audit_row(ann: Person) -> None:
    url, first = ann.http.url, ann.refresh_token
    second = (await post(url, "/api/auth/refresh", {"refresh_token": first})).body["refresh_token"]
    await post(url, "/api/auth/refresh", {"refresh_token": second})
    assert (await post(url, "/api/auth/refresh", {"refresh_token": first})).code == "reuse_detected"

    login = await rows(LoginSession).find_one({"user_id": ann.id})
    assert login is not None
    assert login["revoked_why"] == "reuse_detected"
    assert await rows(AdminAudit).count_documents({"target": login["_id"], "action": "refresh_reuse"}) == 1


# -- guessing


@pytest.fixture
async def guarded(start_node: StartNode, make_settings: MakeSettings) -> Node:
    """A node that believes its proxy, counts to five, and forgets after two seconds."""
    accounts = {"failures_per_account": 5, "failures_per_address": 20, "failure_window": 2}
    return await start_node(make_settings(trusted_proxies=("127.0.0.1",), accounts=accounts))


async def guess(url: str, who: str, address: str, password: str = "not the password") -> Reply:
    body = {"identifier": who, "password": password}
    return await post(url, "/api/auth/login", body, headers={"X-Forwarded-For": address})


def hashes(node: Node) -> int:
    """How many password hashes the node has computed."""
    accounts: Any = node.services.accounts
    return accounts._passwords.computed


async def test_a_wrong_password_and_an_unknown_name_look_alike_and_cost_the_same(
    plaza: Node, ann: Person
) -> None:
    answers: list[Any] = []
    for who in (ann.handle, new_handle(), ann.email, "nobody@example.org"):
        before = hashes(plaza)
        answers.append(said(await log_in(plaza.url, who, "not the password")))
        assert hashes(plaza) == before + 1
    assert answers[0][0] == 401
    assert all(answer == answers[0] for answer in answers)


async def test_guessing_is_stopped_the_same_way_whether_or_not_there_is_an_account(guarded: Node) -> None:
    ann = await sign_up(guarded.url, "ann")
    known = [said(await guess(guarded.url, ann.handle, "10.0.0.1")) for _ in range(6)]
    unknown = [said(await guess(guarded.url, "nobody", "10.0.0.2")) for _ in range(6)]

    def without_time(answers: list[Any]) -> list[Any]:
        return [(status, {**body, "retry_after_ms": None}) for status, body in answers]

    assert [status for status, _ in known] == [401] * 5 + [429]
    assert known[5][1]["code"] == "too_many_attempts"
    assert without_time(known) == without_time(unknown)
    await ann.leave()


async def test_even_the_right_password_waits_and_the_time_is_told(guarded: Node) -> None:
    ann = await sign_up(guarded.url, "ann")
    for _ in range(5):
        await guess(guarded.url, ann.email, "10.0.0.1")

    refused = await guess(guarded.url, ann.handle, "10.0.0.1", ann.password)
    assert refused.status == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 2

    await asyncio.sleep(2.1)
    assert (await guess(guarded.url, ann.handle, "10.0.0.1", ann.password)).status == 200
    await ann.leave()


async def test_guesses_made_at_once_are_counted_one_by_one(guarded: Node) -> None:
    ann = await sign_up(guarded.url, "ann")
    before = hashes(guarded)

    replies = await asyncio.gather(*(guess(guarded.url, ann.handle, f"10.1.{i}.1") for i in range(40)))

    assert Counter(reply.status for reply in replies) == {401: 5, 429: 35}
    assert hashes(guarded) == before + 5
    await ann.leave()


async def test_strangers_cannot_lock_the_owner_out_of_a_place_they_know(guarded: Node) -> None:
    ann = await sign_up(guarded.url, "ann")
    assert (await guess(guarded.url, ann.handle, "192.0.2.7", ann.password)).status == 200
    await asyncio.gather(*(guess(guarded.url, ann.handle, f"10.2.{i}.1") for i in range(50)))

    assert (await guess(guarded.url, ann.handle, "192.0.2.7", ann.password)).status == 200
    assert (await guess(guarded.url, ann.handle, "192.0.2.8", ann.password)).status == 429
    await ann.leave()


async def test_one_address_cannot_try_one_password_on_everybody(guarded: Node) -> None:
    statuses = [(await guess(guarded.url, new_handle(), "10.3.0.1")).status for _ in range(25)]
    assert statuses == [401] * 20 + [429] * 5
    assert (await guess(guarded.url, new_handle(), "10.3.0.2")).status == 401


async def test_logging_in_rightly_is_no_attempt(guarded: Node) -> None:
    ann = await sign_up(guarded.url, "ann")
    for _ in range(30):
        assert (await guess(guarded.url, ann.handle, "10.4.0.1", ann.password)).status == 200
    counted = await rows(LoginFailures).find_one({"_id": "address:10.4.0.1"})
    assert counted is not None
    assert counted["attempts"] == 0
    await ann.leave()


async def test_the_current_password_cannot_be_guessed_with_a_stolen_token(guarded: Node) -> None:
    ann = await sign_up(guarded.url, "ann")
    body = {"current_password": "not the password", "new_password": PASSWORD}
    statuses = [(await ann.http.post("/api/auth/change-password", body)).status for _ in range(6)]
    assert statuses == [403] * 5 + [429]
    await ann.leave()


async def test_a_proxy_nobody_trusts_is_not_believed(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    node = await start_node(make_settings(accounts={"failures_per_address": 3}))
    statuses = [(await guess(node.url, new_handle(), f"10.5.0.{i}")).status for i in range(5)]
    assert statuses == [401] * 3 + [429] * 2


# -- passwords


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "1234567",
        "x" * 73,
        "é" * 37,
        "🙂" * 19,
        "x" * 1_000_000,
        "nul\0inside",
        None,
        12345678,
        ["x" * 8],
    ],
    ids=lambda value: repr(value)[:16],
)
async def test_a_password_that_cannot_be_kept_whole_is_refused(plaza: Node, password: Any) -> None:
    wanted = new_person(password=password)

    reply = await post(plaza.url, "/api/auth/signup", wanted)

    assert reply.status == 422
    assert [item["field"] for item in reply.body["errors"]] == ["password"]
    assert str(password)[:40] not in json.dumps(reply.body) or not password
    assert await User.find_by("email_key", wanted["email"]) is None


@pytest.mark.parametrize(
    "password", ["12345678", "x" * 72, "é" * 36, "🙂" * 18, "  spaces  ", "тайное слово"]
)
async def test_a_password_counts_to_its_last_byte(plaza: Node, password: str) -> None:
    wanted = new_person(password=password)
    assert (await post(plaza.url, "/api/auth/signup", wanted)).status == 201

    assert (await log_in(plaza.url, wanted["handle"], password)).status == 200
    assert (await log_in(plaza.url, wanted["handle"], password[:-1])).status == 401
    assert (await log_in(plaza.url, wanted["handle"], password + "x")).status in {401, 422}


# -- what nobody may set


GRANTED = {
    "is_admin": True,
    "isAdmin": True,
    "is_approved": True,
    "approved": True,
    "is_certified": True,
    "balance": 1e9,
    "trust": 5,
    "vibeScore": 9999,
    "tier": "Platinum",
    "streak": 99,
    "email_key": "x",
    "_id": "x",
    "__v": 1,
    "password_hash": "x",
}


@pytest.mark.parametrize("field", GRANTED)
async def test_nobody_grants_themselves_anything(ann: Person, field: str) -> None:
    at_signup = await post(ann.http.url, "/api/auth/signup", new_person(**{field: GRANTED[field]}))
    in_profile = await ann.http.patch(f"/api/users/{ann.id}/profile", {field: GRANTED[field]})

    for reply in (at_signup, in_profile):
        assert reply.status == 422
        assert reply.code == "unknown_field"
        assert reply.body["errors"] == [{"field": field, "message": "unknown_field"}]


async def test_what_a_facade_ignores_has_no_effect(plaza: Node) -> None:
    username = new_handle()
    body = {"username": username, "password": PASSWORD, **GRANTED}
    assert (await post(plaza.url, "/api/register", body)).status == 201

    user = (await log_in(plaza.url, username, PASSWORD)).data["user"]

    assert user["is_admin"] is False
    assert user["is_certified"] is False
    assert user["vibeScore"] <= 5
    assert user["tier"] == "Bronze"


# -- handles


BAD_HANDLES = {
    "a reserved word": "admin",
    "with digits for letters": "adm1n",
    "with separators": "p.l-a_z.a",
    "with an accent": "ádmin",
    "in mathematical letters": "𝒶𝒹𝓂𝒾𝓃",
    "in small capitals": "ᴀᴅᴍɪɴ",
    "with a Cyrillic a": "\u0430dmin",
    "all Cyrillic": "ѕуѕтем",
    "mixed Greek": "\u03b1lpha",
    "right to left override": "abc\u202egnp",
    "zero width space": "ab\u200bcd",
    "zero width joiner": "ab\u200dcd",
    "soft hyphen": "ab\u00adcd",
    "byte order mark": "\ufeffabcd",
    "ten thousand marks": "a" + "\u0301" * 10_000,
    "a few marks": "abc" + "\u0336\u0336",
    "an enclosing mark": "abc\u20dd",
    "a space": "ab cd",
    "a line break": "abcd\n",
    "NUL": "ab\0cd",
    "an at sign": "ann@example.org",
    "a slash": "../etc",
    "markup": "<b>ann</b>",
    "an operator": "$where",
    "an emoji": "ann🙂",
    "only separators": "___",
    "a dot in front": ".ann",
    "too short": "ab",
    "too long": "a" * 51,
    "a private letter": "ab\ue000cd",
    "an id": "0b56949c-62cd-4d96-aa96-f37c48d9a404",
    "a modifier letter": "ann\u02bc",
}


@pytest.mark.parametrize("name", BAD_HANDLES)
async def test_a_handle_cannot_pass_for_something_else(plaza: Node, name: str) -> None:
    for path, body in (
        ("/api/auth/signup", new_person(handle=BAD_HANDLES[name])),
        ("/api/auth/register", {"username": BAD_HANDLES[name], "password": PASSWORD}),
    ):
        reply = await post(plaza.url, path, body)
        assert reply.status == 422, reply.body


@pytest.mark.parametrize(
    "name",
    [
        "ann-lee",
        "Ann.Lee",
        "_ann_",
        "李小龍",
        "たなか花子",
        "김철수",
        "мария",
        "מרים",
        "สมชาย",
        "मोहन",
        "Zoë",
    ],
)
async def test_a_handle_may_be_of_any_one_script(plaza: Node, name: str) -> None:
    suffix = uuid.uuid4().int % 10**12
    wanted = new_person(handle=f"{name}{suffix}")
    assert (await post(plaza.url, "/api/auth/signup", wanted)).status == 201
    assert (await log_in(plaza.url, wanted["handle"], PASSWORD)).status == 200


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Strasse{}", "straße{}"),
        ("ann{}", "\uff21\uff2e\uff2e{}"),
        ("zoe\u0308{}", "ZOË{}"),
        ("\u0445\u043e\u0440{}", "xop{}"),
        ("\u0251nn{}", "ann{}"),
        ("İda{}", "ida{}"),
    ],
)
async def test_two_handles_that_look_alike_have_one_owner(plaza: Node, first: str, second: str) -> None:
    suffix = uuid.uuid4().int % 10**12
    taken = await post(plaza.url, "/api/auth/signup", new_person(handle=first.format(suffix)))
    reply = await post(plaza.url, "/api/auth/signup", new_person(handle=second.format(suffix)))

    assert taken.status == 201
    assert reply.status == 409
    assert reply.code == "account_exists"


# -- operators of the database

OPERATORS: list[Any] = [
    {"$ne": None},
    {"$gt": ""},
    {"$regex": ".*"},
    {"$where": "sleep(1000)"},
    {"$in": ["a", "b"]},
    {"a.b": 1},
    [{"$ne": 1}],
    ["x"],
    True,
    1e308,
]
BODIES: dict[str, Json] = {
    "/api/auth/signup": new_person(),
    "/api/auth/register": {"username": "someone", "password": PASSWORD},
    "/api/register": {"username": "someone", "password": PASSWORD},
    "/api/auth/login": {"identifier": "someone", "password": PASSWORD},
    "/api/login": {"username": "someone", "password": PASSWORD},
    "/api/auth/refresh": {"refresh_token": "plr_x"},
    "/api/auth/logout": {"refresh_token": "plr_x"},
    "/api/auth/forgot-password": {"email": "a@example.org"},
    "/api/auth/reset-password": {"token": "plp_x", "password": PASSWORD},
    "/api/auth/change-password": {"current_password": PASSWORD, "new_password": PASSWORD},
}
FIELDS = [(path, field) for path, body in BODIES.items() for field in body]


@pytest.mark.parametrize(("path", "field"), FIELDS)
async def test_an_operator_is_no_value_of_any_field(victim: Person, path: str, field: str) -> None:
    for value in OPERATORS:
        reply = await victim.http.post(path, {**BODIES[path], field: value})
        assert reply.status == 422, (value, reply.body)
        assert reply.body["errors"][0]["field"] == field


PROFILE_FIELDS = sorted(
    {"name", "handle", "bio", "avatar", "coverPhoto", "location", "website", "settings", "full_name"}
    | {"university", "degree", "interests", "skills", "auto_invite_enabled", "preferred_radius"}
)


@pytest.mark.parametrize("field", PROFILE_FIELDS)
async def test_an_operator_is_no_value_of_a_profile(victim: Person, field: str) -> None:
    for value in ({"$ne": None}, {"$set": {"is_admin": True}}, {"a.b": {"$gt": ""}}, [{"$gt": ""}]):
        reply = await victim.http.patch(f"/api/users/{victim.id}/profile", {field: value})
        assert reply.status == 422, (value, reply.body)


@pytest.mark.parametrize("name", ["q[$ne]", "q[$regex]", "$where", "q[]", "__proto__"])
async def test_an_operator_is_no_parameter(victim: Person, name: str) -> None:
    reply = await victim.http.get("/api/users/search", params={"q": "a", name: ".*"})
    assert reply.status == 422


async def test_a_lone_surrogate_is_no_text(plaza: Node) -> None:
    async with Http(plaza.url) as http:
        body = json.dumps(new_person(name="x")).replace('"name": "x"', '"name": "\\ud800"')
        reply = await http.ask(
            "POST", "/api/auth/signup", data=body, headers={"Content-Type": "application/json"}
        )
    assert reply.status == 422
