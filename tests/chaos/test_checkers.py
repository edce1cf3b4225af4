"""Each checker sees the bug it is for, and nothing in a history without one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from loadtests.checkers import check
from loadtests.history import Attempt, Change, Entry, History, Person, Place, Reading, Send, View

TALK, ANN, BOB = "talk", "ann", "bob"
Bug = Callable[[History], None]


def good() -> History:
    """Ann sent two messages, one of them twice, and Bob three; Ann read all but the last; two nodes agree."""
    sends = [_send(1, ANN), _send(2, BOB), _send(3, ANN), _send(4, BOB), _send(5, BOB)]
    sends[2].attempts.append(replace(sends[2].attempts[0], door="rest", sent=31, answered=32))
    stored = [Entry(place, f"id{place}", s.client_id, s.sender, s.text) for place, s in enumerate(sends, 1)]
    people = [
        Person(who, [send for send in sends if send.sender == who], {}, {TALK: list(stored)}, _log())
        for who in (ANN, BOB)
    ]
    people[0].readings[TALK] = Reading(4, 4)
    lists = _shown(5, 4, 5)
    views = [
        View(node, {TALK: list(stored)}, {k: dict(v) for k, v in lists.items()}) for node in ("one", "two")
    ]
    return History({TALK: [ANN, BOB]}, people, views)


def _send(place: int, sender: str) -> Send:
    attempt = Attempt(f"socket of {sender}", place * 10, place * 10 + 1, place, f"id{place}", TALK)
    return Send(sender, TALK, f"key{place}", f"text {place}", [attempt])


def _log() -> list[Change]:
    read = {"conversationId": TALK, "userId": ANN}
    reads = [Change(pos, "message_read", {**read, "seq": pos + 1}) for pos in (2, 3)]
    return [Change(1, "conversation_updated", {"conversationId": TALK, "change": "created"}), *reads]


def kinds(history: History) -> set[str]:
    return {violation.kind for violation in check(history)}


def everywhere(history: History, change: Callable[[list[Entry]], None]) -> None:
    """Change what both nodes store and what both people have."""
    for entries in [view.messages[TALK] for view in history.views] + [
        p.streams[TALK] for p in history.people
    ]:
        change(entries)


def test_a_good_history_has_no_violations() -> None:
    assert check(good()) == []


def test_what_was_never_answered_may_be_missing() -> None:
    history = good()
    history.people[0].sends.append(Send(ANN, TALK, "key9", "text 9", [Attempt("rest", 90)]))

    assert check(history) == []


def lose_the_last(history: History) -> None:
    everywhere(history, lambda entries: entries.pop() and None)
    history.views = [replace(view, lists=_shown(4, 4, 4)) for view in history.views]


def lose_one_and_close_the_gap(history: History) -> None:
    everywhere(history, lambda entries: entries.__setitem__(1, replace(entries[2], seq=2)))


def _shown(seq: int, ann: int, bob: int) -> dict[str, dict[str, Place]]:
    return {ANN: {TALK: Place(seq, ann, seq - ann)}, BOB: {TALK: Place(seq, bob, seq - bob)}}


def store_twice(history: History) -> None:
    everywhere(history, lambda entries: entries.append(replace(entries[4], seq=6, id="id6")))


def store_twice_under_another_key(history: History) -> None:
    everywhere(history, lambda entries: entries.append(replace(entries[4], seq=6, id="id6", client_id="x")))


def skip_a_seq(history: History) -> None:
    everywhere(history, lambda entries: entries.__setitem__(4, replace(entries[4], seq=6)))


def store_what_nobody_wrote(history: History) -> None:
    everywhere(history, lambda entries: entries.append(Entry(6, "id6", "key6", ANN, "buy now")))


def change_a_text(history: History) -> None:
    everywhere(history, lambda entries: entries.__setitem__(0, replace(entries[0], text="another")))


def answer_a_retry_anew(history: History) -> None:
    history.people[0].sends[1].attempts[1].seq = 5


def refuse_a_retry(history: History) -> None:
    history.people[0].sends[1].refused = "client_id_reused"


def refuse_a_mark(history: History) -> None:
    history.people[0].readings[TALK].refused = "4: not_found"


def swap_for_one_reader(history: History) -> None:
    entries = history.people[1].streams[TALK]
    entries[0], entries[1] = entries[1], entries[0]


def miss_one_at_the_end_of_one_reader(history: History) -> None:
    history.people[1].streams[TALK].pop()


def hear_twice(history: History) -> None:
    entries = history.people[1].streams[TALK]
    entries.append(entries[-1])


def store_behind_time(history: History) -> None:
    """Everybody agrees, but the second message was asked for after the third had been acknowledged."""
    history.people[1].sends[0].attempts[0].sent = 35


def overtake_on_a_socket(history: History) -> None:
    """Both were on their way at once, and the second one won."""
    first, second = (send.attempts[0] for send in history.people[0].sends)
    first.sent, second.sent, first.answered = 31, 30, 32
    history.people[1].sends[0].attempts[0].answered = 60


def count_one_unread_too_many(history: History) -> None:
    for view in history.views:
        view.lists[ANN][TALK] = Place(5, 4, 2)


def forget_a_read_position(history: History) -> None:
    for view in history.views:
        view.lists[ANN][TALK] = Place(5, 3, 2)


def read_by_itself(history: History) -> None:
    for view in history.views:
        view.lists[ANN][TALK] = Place(5, 5, 0)


def hide_a_conversation(history: History) -> None:
    for view in history.views:
        view.lists[BOB].clear()


def let_one_node_lag(history: History) -> None:
    history.views[1].lists[ANN][TALK] = Place(4, 4, 0)


def lose_a_log_entry(history: History) -> None:
    del history.people[0].log[1]


def log_a_mark_twice(history: History) -> None:
    history.people[0].log.append(replace(history.people[0].log[2], pos=4))


def never_tell_a_mark(history: History) -> None:
    history.people[1].log.pop()


BUGS: list[tuple[Bug, str]] = [
    (lose_the_last, "lost"),
    (lose_one_and_close_the_gap, "lost"),
    (change_a_text, "lost"),
    (store_twice, "duplicate"),
    (store_twice_under_another_key, "duplicate"),
    (skip_a_seq, "gap"),
    (store_what_nobody_wrote, "invented"),
    (answer_a_retry_anew, "contradiction"),
    (refuse_a_retry, "refused"),
    (refuse_a_mark, "refused"),
    (swap_for_one_reader, "unequal"),
    (miss_one_at_the_end_of_one_reader, "unequal"),
    (hear_twice, "unequal"),
    (store_behind_time, "misordered"),
    (overtake_on_a_socket, "overtaken"),
    (count_one_unread_too_many, "unread"),
    (forget_a_read_position, "unread"),
    (read_by_itself, "unread"),
    (hide_a_conversation, "unread"),
    (let_one_node_lag, "nodes"),
    (lose_a_log_entry, "pos"),
    (log_a_mark_twice, "logged_twice"),
    (never_tell_a_mark, "mark"),
]


@pytest.mark.parametrize(("bug", "kind"), BUGS, ids=[bug.__name__ for bug, _ in BUGS])
def test_a_planted_bug_is_caught(bug: Bug, kind: str) -> None:
    history = good()

    bug(history)

    assert kind in kinds(history)
