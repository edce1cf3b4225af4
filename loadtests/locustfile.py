"""Locust users on real Socket.IO: sign up, connect, talk in small rooms, lose the connection, return, sync.

Each keeps what a conforming client keeps. When the users have stopped, everybody syncs once more and
`loadtests.checkers` looks for loss, duplicates, disorder and wrong unread counts: any of them fails the run.
`--break loss|duplicate|reorder|unread` plants such a bug in the clients, to see that it does.
"""

import signal
from argparse import ArgumentParser
from typing import Any

import gevent
from gevent.util import print_run_info
from locust import User, between, events, task
from locust.env import Environment

from loadtests.hall import Hall
from loadtests.talker import Talker
from loadtests.verdict import judge

JUDGED_WITHIN = 60

hall = Hall()


@events.init_command_line_parser.add_listener
def add_arguments(parser: ArgumentParser) -> None:
    """Locust shows them in its own help."""
    parser.add_argument("--break", dest="bug", choices=("loss", "duplicate", "reorder", "unread"), default="")


class Guest(User):
    """A person with one device."""

    wait_time = between(0.2, 0.8)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.talker = Talker(str(environment.host), hall.clock, environment.events.request.fire)
        if environment.parsed_options is not None:
            self.talker.bug = environment.parsed_options.bug

    def on_start(self) -> None:
        """Sign up, connect, and sit down at a table."""
        self.talker.sign_up(hall.next_name())
        self.talker.connect()
        hall.seat(self.talker)

    @task(12)
    def say(self) -> None:
        self.talker.say()

    @task(4)
    def read(self) -> None:
        self.talker.read()

    @task(1)
    def drop(self) -> None:
        """The connection ends: mostly without a goodbye."""
        self.talker.drop()
        self.talker.connect()


@events.init.add_listener
def on_init(**_: Any) -> None:
    """SIGUSR1 tells what every greenlet is doing: asked for when a run does not end."""
    gevent.signal_handler(signal.SIGUSR1, print_run_info)


@events.test_stop.add_listener
def on_stop(environment: Environment, **_: Any) -> None:
    """Judge the run; one that cannot be judged has failed."""
    environment.process_exit_code = 1
    with gevent.Timeout(JUDGED_WITHIN):
        environment.process_exit_code = judge(hall, environment)
