"""What came of a Locust run: everybody syncs, the checkers look, a table is printed."""

from typing import Any

import gevent
from gevent.pool import Pool
from locust.env import Environment

from loadtests.checkers import Violation, check, counted
from loadtests.hall import Hall
from loadtests.history import Entry, History, Place, View
from loadtests.report import milliseconds, percentile, table
from loadtests.talker import Talker

PAGE = 100
AT_ONCE = 10
SHOWN = 20
SETTLES_IN = 1.0


def judge(hall: Hall, environment: Environment) -> int:
    """Print what happened; the exit code of the run."""
    gevent.sleep(SETTLES_IN)
    talkers = [talker for talker in hall.talkers if talker.id]
    pool = Pool(AT_ONCE)
    pool.map(Talker.sync_over_http, talkers)
    pool.map(Talker.read, talkers[::2])
    pool.map(Talker.sync_over_http, talkers)
    history = History(hall.members, [talker.recorded() for talker in talkers])
    history.views = [_view(pool, hall, talkers)]
    violations = check(history)
    failures = (
        [str(error["msg"]) for error in environment.runner.exceptions.values()] if environment.runner else []
    )
    if not history.sends:
        failures.append("nothing was sent")
    print(table("Load", _rows(history, talkers, violations, environment)), flush=True)
    for line in [*failures[:SHOWN], *map(str, violations[:SHOWN])]:
        print(line)
    return 1 if violations or failures else 0


def _view(pool: Pool, hall: Hall, talkers: list[Talker]) -> View:
    by_id = {talker.id: talker for talker in talkers}
    view = View("the server")
    for conversation, entries in pool.imap_unordered(
        lambda item: (item[0], _history(by_id[item[1][0]], item[0])), hall.members.items()
    ):
        view.messages[conversation] = entries
    view.lists = dict(pool.imap_unordered(lambda talker: (talker.id, _places(talker)), talkers))
    return view


def _history(talker: Talker, conversation: str) -> list[Entry]:
    entries: list[Entry] = []
    while True:
        after = entries[-1].seq if entries else 0
        page = talker.ask("GET", f"/api/conversations/{conversation}/messages?limit={PAGE}&after={after}")
        entries += [Entry.of(message) for message in page]
        if len(page) < PAGE:
            return entries


def _places(talker: Talker) -> dict[str, Place]:
    rows: list[dict[str, Any]] = talker.ask("GET", f"/api/messages/conversations?limit={PAGE}")
    return {row["id"]: Place(row["seq"], row["readSeq"], row["unread"]) for row in rows}


def _rows(
    history: History, talkers: list[Talker], violations: list[Violation], environment: Environment
) -> list[tuple[str, object]]:
    latencies = [one for talker in talkers for one in talker.latencies]
    tail = (milliseconds(percentile(latencies, share)) for share in (0.5, 0.95, 0.99))
    total = environment.stats.total
    seconds = max(1.0, (total.last_request_timestamp or 0) - total.start_time)
    return [
        ("users, rooms", f"{len(talkers)}, {len(hall_rooms(history))}"),
        (
            "messages sent",
            f"{len(history.sends):,} ({len(history.sends) / seconds:,.0f}/s over {seconds:.0f} s)",
        ),
        ("attempts", sum(len(send.attempts) for send in history.sends)),
        ("stored", sum(len(entries) for entries in history.views[0].messages.values())),
        ("ack p50 · p95 · p99", " · ".join(tail)),
        ("deliveries", sum(talker.deliveries for talker in talkers)),
        ("reconnects", sum(talker.connects - 1 for talker in talkers)),
        ("syncs", sum(talker.syncs for talker in talkers)),
        ("gaps seen live", sum(track.jumps for talker in talkers for track in talker.state.tracks)),
        ("violations", counted(violations)),
    ]


def hall_rooms(history: History) -> list[str]:
    """The rooms in which something was said."""
    return [key for key, entries in history.views[0].messages.items() if entries]
