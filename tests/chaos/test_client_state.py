"""The conforming client holds every stream whole, however its entries arrive."""

import random
from typing import Any

import pytest

from loadtests.state import ClientState

TALK = "talk"


def message(seq: int) -> dict[str, Any]:
    return {
        "conversationId": TALK,
        "seq": seq,
        "id": f"id{seq}",
        "clientId": f"key{seq}",
        "from": "ann",
        "text": f"text {seq}",
    }


def page(after: int, head: int, limit: int = 4) -> dict[str, Any]:
    found = [message(seq) for seq in range(after + 1, min(head, after + limit) + 1)]
    last = found[-1]["seq"] if found else after
    stream = {"seq": last, "head": head, "messages": found, "more": last < head, "truncated": False}
    updates = {"pos": 0, "entries": [], "more": False, "truncated": False}
    return {"streams": {TALK: stream}, "updates": updates, "gone": []}


def seqs(state: ClientState) -> list[int]:
    return [entry.seq for entry in state.streams[TALK].entries]


def test_an_early_entry_waits_for_those_before_it() -> None:
    state = ClientState()
    state.hear("new_message", message(1))

    assert not state.hear("new_message", message(3))
    assert seqs(state) == [1]
    assert state.hear("new_message", message(2))
    assert seqs(state) == [1, 2, 3]


def test_an_entry_heard_again_changes_nothing() -> None:
    state = ClientState()
    for seq in (1, 2, 1, 2):
        state.hear("new_message", message(seq))

    assert seqs(state) == [1, 2]
    assert state.streams[TALK].repeats == 2


def test_sync_is_asked_again_while_there_is_more() -> None:
    state, asked = ClientState(), 1
    state.learn(TALK)
    while state.apply(page(state.positions()["streams"][TALK], head=10)):
        asked += 1

    assert seqs(state) == list(range(1, 11))
    assert asked == 3


def test_a_truncated_stream_starts_over() -> None:
    state = ClientState()
    state.hear("new_message", message(1))
    answer = page(7, head=9)
    answer["streams"][TALK]["truncated"] = True

    assert not state.apply(answer)
    assert seqs(state) == [8, 9]
    assert state.truncated == 1


def test_a_new_conversation_is_learnt_from_the_log() -> None:
    state = ClientState()
    created = {"pos": 1, "conversationId": TALK, "change": "created"}

    assert not state.hear("conversation_updated", created), "it wants a sync"
    assert state.positions() == {"streams": {TALK: 0}, "updates": 1}


@pytest.mark.parametrize("seed", range(20))
def test_any_mixture_of_live_and_sync_ends_whole(seed: int) -> None:
    state, dice = ClientState(), random.Random(seed)
    state.learn(TALK)
    live = [dice.randint(1, 30) for _ in range(40)]
    for seq in live:
        if not state.hear("new_message", message(seq)) and dice.random() < 0.5:
            state.apply(page(state.streams[TALK].last, head=dice.randint(state.streams[TALK].last, 30)))
    while state.apply(page(state.streams[TALK].last, head=30)):
        pass

    assert seqs(state) == list(range(1, 31))
