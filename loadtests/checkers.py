"""What must be true of a history. Pure functions; each returns what it found wrong.

`tests/chaos/test_checkers.py` plants one bug for each and sees it caught.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from loadtests.history import Change, Entry, History, Person, Send, View


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise."""

    kind: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind} [{self.where}] {self.what}"


Found = list[Violation]


def counted(violations: Sequence[Violation]) -> str:
    """How many, and of which kinds."""
    kinds = Counter(violation.kind for violation in violations)
    return ", ".join([str(len(violations)), *(f"{kind} {number}" for kind, number in kinds.items())])


def check(history: History) -> Found:
    """Everything, on every node's view."""
    found = [violation for checker in ON_SENDS for violation in checker(history.sends)]
    for view in history.views:
        for checker in ON_EACH_VIEW:
            found += checker(history, view)
    for person in history.people:
        found += log_gaps(person.id, person.log) + log_repeats(person.id, person.log)
        found += marks_refused(person)
    return found + nodes_disagree(history.views) + marks_told_wrong(history)


def refusals(sends: Iterable[Send]) -> Found:
    """Nothing that was sent deserved a final refusal."""
    return [
        Violation("refused", send.conversation, f"{send.client_id}: {send.refused}")
        for send in sends
        if send.refused
    ]


def marks_refused(person: Person) -> Found:
    """What one has heard can be marked read."""
    return [
        Violation("refused", conversation, f"{person.id} reads {reading.refused}")
        for conversation, reading in person.readings.items()
        if reading.refused
    ]


def contradictions(sends: Iterable[Send]) -> Found:
    """Every retry of a message gets the first answer: the same id, seq and conversation."""
    found: Found = []
    for send in sends:
        told = {(one.conversation, one.seq, one.id) for one in send.answers}
        if len(told) > 1:
            found.append(Violation("contradiction", send.conversation, f"{send.client_id}: {sorted(told)}"))
    return found


def lost(history: History, view: View) -> Found:
    """What was acknowledged is stored, where and as it was acknowledged."""
    found: Found = []
    for send in history.sends:
        for answer in send.answers[:1]:
            entry = _at(view.messages.get(send.conversation, ()), answer.seq)
            if entry != Entry(answer.seq, answer.id, send.client_id, send.sender, send.text):
                found.append(Violation("lost", f"{send.conversation} {view.node}", f"{answer.seq}: {entry}"))
    return found


def _at(entries: Sequence[Entry], seq: int) -> Entry | None:
    """The entry of that seq; nearly always where a gapless list has it."""
    if 0 < seq <= len(entries) and entries[seq - 1].seq == seq:
        return entries[seq - 1]
    return next((entry for entry in entries if entry.seq == seq), None)


def duplicates(history: History, view: View) -> Found:
    """Each message is stored once, however often it was sent: by id, client id, and its (unique) text."""
    found: Found = []
    seen: set[tuple[str, ...]] = set()
    for conversation, entries in view.messages.items():
        for entry in entries:
            keys = {("id", entry.id), ("key", entry.sender, entry.client_id), ("text", entry.text)}
            if keys & seen:
                found.append(Violation("duplicate", f"{conversation} {view.node}", str(entry)))
            seen |= keys
    return found


def invented(history: History, view: View) -> Found:
    """Everything stored was sent by somebody, there."""
    written = {(send.conversation, send.sender, send.client_id, send.text) for send in history.sends}
    return [
        Violation("invented", f"{conversation} {view.node}", str(entry))
        for conversation, entries in view.messages.items()
        for entry in entries
        if (conversation, entry.sender, entry.client_id, entry.text) not in written
    ]


def gaps(history: History, view: View) -> Found:
    """`seq` runs 1, 2, 3, … in every conversation."""
    return [
        Violation("gap", f"{conversation} {view.node}", f"seq {entry.seq} stands at place {place}")
        for conversation, entries in view.messages.items()
        for place, entry in enumerate(entries, 1)
        if entry.seq != place
    ]


def unequal_readers(history: History, view: View) -> Found:
    """Every member holds exactly what is stored, in the same order."""
    found: Found = []
    for person in history.people:
        for conversation, members in history.members.items():
            if person.id not in members:
                continue
            has, stored = person.streams.get(conversation, []), view.messages.get(conversation, [])
            if has != stored:
                where = f"{conversation} {view.node}"
                found.append(Violation("unequal", where, f"{person.id} {_difference(has, stored)}"))
    return found


def _difference(has: Sequence[Entry], stored: Sequence[Entry]) -> str:
    place = next(
        (i for i, (a, b) in enumerate(zip(has, stored, strict=False)) if a != b), min(len(has), len(stored))
    )
    return f"has {len(has)} of {len(stored)}; they differ from place {place + 1}"


def misordered(sends: Iterable[Send]) -> Found:
    """A message sent after another was acknowledged, by anybody, comes behind it."""
    found: Found = []
    for conversation, within in _by_conversation(sends).items():
        moments: list[tuple[int, int, Send]] = []
        for send in within:
            moments.append((send.attempts[0].sent, 0, send))
            moments += [(answer.answered or 0, 1, send) for answer in send.answers[:1]]
        highest = 0
        floors: dict[str, int] = {}
        for _, is_answer, send in sorted(moments, key=lambda moment: moment[:2]):
            if is_answer:
                highest = max(highest, send.answers[0].seq)
            else:
                floors[send.client_id] = highest
        found += [
            Violation("misordered", conversation, f"{send.text}: {send.answers[0].seq} is not behind {floor}")
            for send in within
            if send.answers and send.answers[0].seq <= (floor := floors[send.client_id])
        ]
    return found


def overtaken(sends: Iterable[Send]) -> Found:
    """What went over one socket without waiting is stored in that order, if each first try was answered."""
    found: Found = []
    lanes: dict[tuple[str, str], list[Send]] = defaultdict(list)
    for send in sends:
        first = send.attempts[0] if send.attempts else None
        if first is not None and first.door != "rest" and first.answered is not None:
            lanes[send.conversation, first.door].append(send)
    for (conversation, door), within in lanes.items():
        ordered = sorted(within, key=lambda send: send.attempts[0].sent)
        for one, next_one in itertools.pairwise(ordered):
            if one.attempts[0].seq >= next_one.attempts[0].seq:
                found.append(
                    Violation("overtaken", f"{conversation} {door}", f"{next_one.text} before {one.text}")
                )
    return found


def wrong_unread(history: History, view: View) -> Found:
    """`unread` is the last seq minus one's read position, and that is what one's own acts made it."""
    found: Found = []
    for person in history.people:
        shown = view.lists.get(person.id, {})
        for conversation, members in history.members.items():
            stored = view.messages.get(conversation, [])
            if person.id not in members or not stored:
                continue
            place, (low, high) = shown.get(conversation), read_range(person, conversation, stored)
            where = f"{conversation} {view.node}"
            if place is None:
                found.append(Violation("unread", where, f"{person.id} does not see the conversation"))
            elif place.seq != len(stored) or place.unread != place.seq - place.read_seq:
                found.append(Violation("unread", where, f"{person.id} {place}, stored {len(stored)}"))
            elif not low <= place.read_seq <= high:
                found.append(Violation("unread", where, f"{person.id} {place}, read {low} to {high}"))
    return found


def read_range(person: Person, conversation: str, stored: Sequence[Entry]) -> tuple[int, int]:
    """How far somebody has read by their own acts: at least, and with what was never answered at most."""
    own = max((entry.seq for entry in stored if entry.sender == person.id), default=0)
    reading = person.readings.get(conversation)
    return (max(own, reading.sure), max(own, reading.tried)) if reading else (own, own)


def nodes_disagree(views: Sequence[View]) -> Found:
    """Every node shows the same."""
    return [
        Violation("nodes", f"{views[0].node} {other.node}", "show different histories or lists")
        for other in views[1:]
        if other.messages != views[0].messages or other.lists != views[0].lists
    ]


def log_gaps(user_id: str, log: Sequence[Change]) -> Found:
    """`pos` runs 1, 2, 3, … in everybody's log."""
    return [
        Violation("pos", user_id, f"pos {change.pos} stands at place {place}")
        for place, change in enumerate(log, 1)
        if change.pos != place
    ]


def log_repeats(user_id: str, log: Sequence[Change]) -> Found:
    """A read position is logged once."""
    found: Found = []
    seen: set[tuple[str, str, int]] = set()
    for change in log:
        if change.event == "message_read":
            key = (change.data["conversationId"], change.data["userId"], change.data["seq"])
            if key in seen:
                found.append(Violation("logged_twice", user_id, str(key)))
            seen.add(key)
    return found


def marks_told_wrong(history: History) -> Found:
    """Every acknowledged mark has reached every member: by their log, or by a later message of one's own."""
    found: Found = []
    own: dict[tuple[str, str], int] = defaultdict(int)
    for conversation, entries in history.views[0].messages.items() if history.views else ():
        for entry in entries:
            own[conversation, entry.sender] = entry.seq
    actors = {person.id: person.readings for person in history.people}
    for person in history.people:
        told: dict[tuple[str, str], int] = {}
        for change in person.log:
            if change.event == "message_read":
                key = (change.data["conversationId"], change.data["userId"])
                told[key] = max(told.get(key, 0), change.data["seq"])
        for conversation, members in history.members.items():
            for actor in members if person.id in members else ():
                key, reading = (conversation, actor), actors[actor].get(conversation)
                heard = told.get(key, 0)
                if reading and not (reading.sure <= max(heard, own[key]) and heard <= reading.tried):
                    what = f"{person.id} heard that {actor} read {heard}, not {reading}"
                    found.append(Violation("mark", conversation, what))
    return found


def _by_conversation(sends: Iterable[Send]) -> dict[str, list[Send]]:
    grouped: dict[str, list[Send]] = defaultdict(list)
    for send in sends:
        if send.attempts:
            grouped[send.conversation].append(send)
    return grouped


ON_SENDS: tuple[Callable[[Sequence[Send]], Found], ...] = (refusals, contradictions, misordered, overtaken)
ON_EACH_VIEW: tuple[Callable[[History, View], Found], ...] = (
    lost,
    duplicates,
    invented,
    gaps,
    unequal_readers,
    wrong_unread,
)
