"""Finding people by words: who is found, by whom, and in which order."""

import random
import string
from collections.abc import Iterable
from typing import Any

import pytest

from common.clock import now
from documents.accounts import User, claims_of
from documents.friends import Friendship
from documents.rows import rows
from realtime.features.accounts.rules import finding
from realtime.features.accounts.schemas import handles
from realtime.features.accounts.service.finder import DEEPEST
from realtime.features.accounts.service.walk import FEW
from tests.clients import Json, Person, Reply
from tests.conftest import MakeSettings, StartNode

MANY = FEW + 60
"""So many people fit that they cannot be read at once."""


def new_word(length: int = 8) -> str:
    """Letters that nobody else has; the first ones are no word of the tests either."""
    return "".join(random.choices(string.ascii_lowercase, k=length))


def person(name: str, handle: str, **fields: Any) -> User:
    """Somebody who is only there to be found."""
    key, skeleton = handles.key(handle), handles.skeleton(handle)
    user = User(
        name=name,
        handle=handle,
        handle_key=key,
        handle_skeleton=skeleton,
        handle_claims=claims_of(key, skeleton),
        password_hash="nobody logs in here",
        **fields,
    )
    return user.model_copy(update=finding.by(user))


async def move_in(people: Iterable[User]) -> list[User]:
    moved = list(people)
    await rows(User).insert_many([one.model_dump(by_alias=True, exclude={"revision_id"}) for one in moved])
    return moved


async def befriend(one: str, others: Iterable[User]) -> None:
    """Friends since a moment ago."""
    edges = [
        Friendship(
            id=Friendship.id_of(one, other.id),
            pair=sorted((one, other.id)),
            state="accepted",
            asked_by=one,
            asked_at=now(),
            changed_at=now(),
        )
        for other in others
    ]
    await rows(Friendship).insert_many(
        [edge.model_dump(by_alias=True, exclude={"revision_id"}) for edge in edges]
    )


async def search(viewer: Person, q: str, **params: Any) -> Reply:
    return await viewer.http.get("/api/search", params={"q": q, **params})


async def found(viewer: Person, q: str) -> list[str]:
    reply = await search(viewer, q, limit=100)
    assert reply.status == 200, reply.body
    return [card["id"] for card in reply.data]


async def all_pages(viewer: Person, q: str, limit: int, between: Any = None) -> list[str]:
    """Everybody, page by page; `between` is done after each."""
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await search(viewer, q, limit=limit, **cursor)).body
        seen += [card["id"] for card in page["data"]]
        if page["pagination"]["next_cursor"] is None:
            return seen
        cursor = {"cursor": page["pagination"]["next_cursor"]}
        if between is not None:
            await between(len(seen))


# -- who is found


@pytest.mark.parametrize(
    ("name", "queries"),
    [
        ("John Unverzagt", ["jo unv", "UNVERZAGT joh", "verz", "zagt john"]),
        ("Zoë Ångström", ["zoe ang", "ÅNGSTRÖM", "gström zoë", "Zo\u0308e"]),
        ("Łukasz Dąbrowski", ["lukasz", "dabrow", "ŁUKASZ DĄB"]),
        ("Nguyễn Văn Đức", ["nguyen duc", "van", "Đức"]),
        ("Jean-Luc O'Neill", ["oneill", "O\u2019Neill", "luc jean"]),
        ("Straße Weiß", ["strasse", "WEISS", "trass"]),
        ("Мария Фёдорова", ["федорова", "МАРИЯ", "дорова мария"]),
        ("Γιώργος Παπαδόπουλος", ["γιωργος", "παπα", "ΌΠΟΥΛΟΣ"]),
        ("محمّد العَلي", ["محمد", "العلي", "مح ال"]),
        ("שָׁלוֹם כהן", ["שלום", "כהן"]),
        ("สมชาย ใจดี", ["สมชาย", "ชาย", "ใจ"]),
        ("李小龙", ["李", "小龙", "李小龙"]),
        ("さくら はなこ", ["さくら", "はな", "くら"]),
        ("김철수", ["김", "철수", "김철수"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("\uff46\uff55\uff4c\uff4c \uff57\uff49\uff44\uff54\uff48", ["full width", "width"]),
        ("İstanbul Şahin", ["istanbul", "sahin"]),
    ],
)
async def test_parts_of_words_of_any_script_find_a_person(ann: Person, name: str, queries: list[str]) -> None:
    word = new_word()
    (someone,) = await move_in([person(f"{name} {word}", f"x_{word}_x")])
    for query in queries:
        assert await found(ann, f"{query} {word}") == [someone.id], query
    assert await found(ann, f"{queries[0]}zz {word}") == []


async def test_handles_are_found_as_they_are_typed_and_without_their_marks(ann: Person) -> None:
    word = new_word()
    (someone,) = await move_in([person("Nobody", f"{word}.the_first")])
    for query in (
        f"{word}.the_first",
        f"@{word}.THE_first",
        f"{word}thefi",
        f"first {word}",
        "the_first " + word,
    ):
        assert await found(ann, query) == [someone.id], query


async def test_who_is_new_is_found_at_once_also_by_a_word_that_nobody_had(ann: Person, bob: Person) -> None:
    word = new_word(5)
    assert await found(ann, word) == []
    assert (await bob.http.patch(f"/api/users/{bob.id}/profile", {"name": word})).status == 200
    assert await found(ann, word) == [bob.id]


async def test_interests_are_found_as_far_as_everybody_sees_them(ann: Person, bob: Person) -> None:
    word = new_word()
    await _change(bob, interests=[f"{word} dancing"])
    assert await found(ann, f"danc {word}") == [bob.id]
    await _change(bob, settings={"visibility": {"interests": "friends"}})
    assert await found(ann, word) == []
    await _change(bob, settings={"privacy": "friends", "visibility": {"interests": "public"}})
    assert await found(ann, word) == [bob.id]
    await _change(bob, settings={"privacy": "private"})
    assert await found(ann, bob.handle) == []


async def _change(who: Person, **fields: Any) -> None:
    assert (await who.http.patch(f"/api/users/{who.id}/profile", fields)).status == 200


async def test_a_block_hides_both_from_each_other_and_not_even_the_count_tells(
    ann: Person, bob: Person, cyd: Person
) -> None:
    assert (await ann.http.post("/api/friends/block", {"userId": bob.id})).status == 200

    for viewer, hidden in ((ann, bob), (bob, ann)):
        page = (await search(viewer, hidden.handle)).body
        assert page["data"] == []
        assert page["pagination"]["total"] == 0
        assert await found(cyd, hidden.handle) == [hidden.id]


async def test_among_many_nobody_is_shown_who_does_not_take_part_or_is_blocked(ann: Person) -> None:
    word = new_word()
    crowd = await move_in(person(f"{word} {number}", f"c{number}{word}") for number in range(MANY))
    gone, blocked = crowd[3], crowd[5]
    await rows(User).update_one({"_id": gone.id}, {"$set": {"is_banned": True}})
    assert (await ann.http.post("/api/friends/block", {"userId": blocked.id})).status == 200

    seen = await all_pages(ann, word, 100)

    assert sorted(seen) == sorted({one.id for one in crowd} - {gone.id, blocked.id})


# -- in which order


def by_every_way(word: str, suffix: str = "") -> list[User]:
    """People who fit ever worse, in the order in which they are to be found."""
    return [
        person("Anybody", f"{word}{suffix}"),
        person("Zed", f"{word}.a{suffix}x"),
        person("Abe", f"{word}b{suffix}x"),
        person(f"{word} Aaron", f"zz{suffix}1{word[::-1]}"),
        person(f"{word}son Aaron", f"aa{suffix}2{word[::-1]}"),
        person(f"Aaron {word}", f"aa{suffix}3{word[::-1]}"),
        person("Aaron", f"bb{suffix}4{word[::-1]}", interests=[f"the {word}s"]),
        person(f"Mac{word}", f"aa{suffix}5{word[::-1]}"),
        person("Aaron", f"aab{suffix}{word}"),
    ]


async def test_the_better_somebody_fits_the_earlier_they_come(ann: Person) -> None:
    word = new_word()
    people = await move_in(by_every_way(word))

    assert await found(ann, word.upper()) == [one.id for one in people]
    assert await all_pages(ann, word, 2) == [one.id for one in people]
    assert (await search(ann, word)).body["pagination"]["total"] == len(people)


async def test_many_come_in_the_same_order(ann: Person) -> None:
    word = new_word()
    best = by_every_way(word)
    crowd = [
        person(f"{number:03d} {word}", f"dd{number:03d}{word[::-1]}") for number in range(MANY - len(best))
    ]
    await move_in([*best, *crowd])
    in_order = [*best[:6], best[6], *crowd, *best[7:]]

    assert await all_pages(ann, word, 100) == [one.id for one in in_order]
    assert await all_pages(ann, word, 37) == [one.id for one in in_order]
    about = (await search(ann, word)).body["pagination"]
    assert about["total"] % 100 == 0
    assert about["total"] >= len(in_order)


@pytest.mark.parametrize("crowd", [0, MANY])
async def test_friends_come_first_then_people_with_friends_in_common(ann: Person, crowd: int) -> None:
    word = new_word()
    strangers = await move_in(person(word, f"m{number:03d}{word[::-1]}") for number in range(max(crowd, 1)))
    friend, their_friend = await move_in(
        [person(f"Ab {word}", f"y{word[::-1]}"), person(word, f"z{word[::-1]}")]
    )
    fits_worse = (await move_in([person(f"x{word}", f"a{word[::-1]}")]))[0]
    await befriend(ann.id, [friend, fits_worse])
    await befriend(friend.id, [their_friend])

    names_begin, word_begins, part = [their_friend, *strangers], [friend], [fits_worse]
    expected = [one.id for one in (*names_begin, *word_begins, *part)]
    assert await all_pages(ann, word, 60) == expected

    await befriend(ann.id, [strangers[-1]])
    assert (await all_pages(ann, word, 60))[:3].count(strangers[-1].id) == (0 if crowd else 1)


async def test_two_words_are_found_in_any_order_of_which_the_written_one_is_best(ann: Person) -> None:
    one, other = new_word(), new_word()
    (turned,) = await move_in([person(f"{other} {one}", f"aa{new_word()}")])
    (straight,) = await move_in([person(f"{one} {other}", f"zz{new_word()}")])
    (within,) = await move_in([person(f"a{one} b{other}", f"aa{new_word()}")])

    assert await found(ann, f"{one} {other}") == [straight.id, turned.id, within.id]
    assert await found(ann, f"{one} {other[:4]}") == [straight.id, turned.id, within.id]
    assert await found(ann, f"{other} {one}") == [turned.id, straight.id, within.id]


# -- page by page


@pytest.mark.parametrize("crowd", [40, MANY])
async def test_who_does_not_change_is_shown_once_while_others_come_go_and_change(
    ann: Person, crowd: int
) -> None:
    word = new_word()
    people = await move_in(
        person(f"{number:03d} {word}", f"p{number:03d}{word[::-1]}") for number in range(crowd)
    )
    changing = people[::10]

    async def meanwhile(shown: int) -> None:
        await move_in([person(f"new {word}", f"{letter}{shown}{word[::-1]}") for letter in "az"])
        for one in changing[shown % 3 :: 3]:
            renamed = person(f"{word} {shown}", f"{'az'[shown % 2]}{shown}{one.handle}")
            fields = {"name", "handle", "handle_key", "handle_skeleton", "handle_claims"}
            stored = renamed.model_dump(include=fields | finding.by_nothing().keys())
            await rows(User).update_one({"_id": one.id}, {"$set": stored})

    seen = await all_pages(ann, word, 15, meanwhile)

    steady = [one.id for one in people if one not in changing]
    assert [one for one in seen if one in set(steady)] == steady


async def test_a_friend_made_between_two_pages_stays_where_they_were_on_every_node(
    ann: Person, start_node: StartNode, make_settings: MakeSettings
) -> None:
    word, other_node = new_word(), await start_node(make_settings())
    people = await move_in(
        person(f"{number:03d} {word}", f"p{number:03d}{word[::-1]}") for number in range(MANY)
    )
    first = (await search(ann, word, limit=100)).body
    await befriend(ann.id, [people[5], people[150]])

    ann.http.url = other_node.url
    second = await search(ann, word, limit=100, cursor=first["pagination"]["next_cursor"])

    assert [card["id"] for card in second.data] == [one.id for one in people[100:200]]
    assert set(await found(ann, word)) >= {people[5].id, people[150].id}


async def test_numbered_pages_are_the_same_pages_and_end(ann: Person) -> None:
    word = new_word()
    people = await move_in(
        person(f"{number:03d} {word}", f"p{number:03d}{word[::-1]}") for number in range(MANY)
    )

    third = (await search(ann, word, limit=50, page=3)).body
    rest = (await search(ann, word, limit=50, cursor=third["pagination"]["next_cursor"])).data
    deep = await search(ann, word, limit=50, page=DEEPEST // 50 + 1)

    assert [card["id"] for card in (*third["data"], *rest)] == [one.id for one in people[100:200]]
    assert (deep.status, deep.body["errors"][0]["field"]) == (422, "page")


async def test_a_cursor_belongs_to_one_search_of_one_person(ann: Person, bob: Person) -> None:
    word = new_word()
    await move_in(person(word, f"{letter}{word[::-1]}") for letter in "abc")
    cursor = (await search(ann, word, limit=1)).body["pagination"]["next_cursor"]
    assert (await ann.http.get("/api/users/search", params={"q": word, "cursor": cursor})).status == 200

    for reply in (
        await search(ann, f"{word}x", cursor=cursor),
        await search(bob, word, cursor=cursor),
        await search(ann, word, type="messages", cursor=cursor),
        await search(ann, word, cursor=f"{cursor}A"),
    ):
        assert (reply.status, reply.code) == (422, "bad_cursor")


# -- hostile queries


HOSTILE = [
    "(a+)+$",
    "^(.*a){25}",
    ".*" * 32,
    "[[[[",
    "\\",
    "$where",
    "{$ne: null}",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "\u0301" * 64,
    "🤷‍♀️",
    "ﷺ" * 64,
    "^a",
    "#qwxz",
    "' or 1=1 --",
    "%25%00",
]


@pytest.mark.parametrize("kind", ["users", "messages"])
@pytest.mark.parametrize("q", HOSTILE)
async def test_no_query_is_a_pattern_or_a_burden(ann: Person, q: str, kind: str) -> None:
    reply = await search(ann, q, type=kind)
    assert reply.status == 200 or (kind == "messages" and reply.status == 422)
    if reply.status == 200:
        assert all(_has_first_letters(card, q) for card in reply.data)


def _has_first_letters(card: Json, q: str) -> bool:
    """What is found has every letter that was asked for, as letters."""
    text = str(card).lower()
    return all(letter in text for letter in q.lower() if letter.isascii() and letter.isalpha())


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"q": ""},
        {"q": "x" * 65},
        {"q": ".*" * 10_000},
        {"q": "x" * 1_000_000},
        {"q": "a", "type": "posts"},
        {"q": "a", "type[$ne]": "users"},
        {"q": "a", "limit": 10**9},
        {"q": "a", "page": -1},
        {"q": "a", "regex": "1"},
        {"q": "a", "conversationId": "8b1b1b9e-58ab-4b59-9b2f-1d8a7a1f7f11"},
        {"q": "ab", "type": "messages", "conversationId": "mine"},
        {"q": "a", "type": "messages"},
        {"q": "!!", "type": "messages"},
    ],
    ids=repr,
)
async def test_a_search_has_bounds(ann: Person, params: dict[str, Any]) -> None:
    reply = await ann.http.get("/api/search", params=params)
    assert reply.status in ({422} if len(str(params)) < 5000 else {400, 414, 422, 431})
    assert (await search(ann, ann.handle)).status == 200


async def test_a_search_needs_a_searcher(ann: Person) -> None:
    ann.http.token = None
    assert (await search(ann, "ann")).status == 401
