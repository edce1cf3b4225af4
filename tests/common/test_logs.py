"""Logs: no secrets, no forged lines, no end of the disk."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from common import logs

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged; everything is as before afterwards."""
    root = logging.getLogger()
    before, level, configured = root.handlers[:], root.level, structlog.get_config()
    stream = io.StringIO()
    logs.set_up("info", "json", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.configure(**configured)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "new_password",
        "token",
        "access_token",
        "Authorization",
        "refresh",
        "secret",
        "cookie",
        "email",
        "text",
        "body",
        "jwt_secret",
        "apiKey",
    ],
)
def test_a_field_with_a_telling_name_is_left_out_at_any_depth(written: io.StringIO, name: str) -> None:
    structlog.get_logger("x").info("said", **{name: "the canary"}, inner={"deep": [{name: "the canary"}]})
    assert "canary" not in written.getvalue()
    assert lines(written)[0]["event"] == "said"


@pytest.mark.parametrize(
    "secret",
    [JWT, "plr_" + "a" * 43, "plp_" + "a" * 43, "$2b$12$" + "a" * 53, "Bearer abc.def", "ann@example.org"],
)
def test_what_looks_like_a_secret_is_left_out_of_texts_and_traces(written: io.StringIO, secret: str) -> None:
    log = structlog.get_logger("x")
    log.info("said", note=f"before {secret} after")
    logging.getLogger("library").warning("library says %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        log.exception("broke")

    assert secret not in written.getvalue()
    assert "before [gone] after" in written.getvalue()
    assert "Traceback" in lines(written)[2]["exception"]


@pytest.mark.parametrize("style", ["json", "console"])
def test_nobody_writes_a_line_of_their_own(written: io.StringIO, style: Any) -> None:
    stream = io.StringIO()
    logs.set_up("info", style, stream)
    structlog.get_logger("x").info("said", name="ann\r\n2026 [info] forged\x1b[31m\u2028${jndi:x}")
    logging.getLogger("library").warning("ann\nforged")
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


def test_long_texts_are_cut(written: io.StringIO) -> None:
    structlog.get_logger("x").info("said", agent="x" * 1_000_000)
    assert len(lines(written)[0]["agent"]) == 512


def test_a_line_carries_what_the_request_has_bound(written: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1", user_id="u-1"):
        structlog.get_logger("x").info("said")
        logging.getLogger("library").warning("said")
    assert [(line["request_id"], line["user_id"]) for line in lines(written)] == [("r-1", "u-1")] * 2
    assert lines(written)[0]["level"] == "info"
    assert lines(written)[0]["at"].endswith("Z")


def test_a_storm_is_cut_short_and_summed_up(written: io.StringIO) -> None:
    log = structlog.get_logger("x")
    for number in range(5000):
        log.info("storm", number=number)
        log.info(f"kind {number}")
    log.info("other")

    assert len(lines(written)) == 799
    assert sum(line["event"] == "storm" for line in lines(written)) == 100

    logging.getLogger().handlers[0].close()

    summary = lines(written)[-1]["event"]
    assert summary.startswith("log_lines_suppressed: 9202 lines")
    assert "'x:storm': 4900" in summary


def test_a_storm_hides_no_trouble_and_trouble_has_its_bounds_too(written: io.StringIO) -> None:
    log = structlog.get_logger("x")
    for number in range(5000):
        log.info(f"kind {number}")
    for number in range(5000):
        log.error(f"trouble {number}")
    log.error("trouble again")

    assert [line["level"] for line in lines(written)] == ["info"] * 799 + ["error"] * 200


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(event: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("x", level, "", 0, event, None, None)


def test_in_no_minute_there_are_more_lines_than_that() -> None:
    stream, clock = io.StringIO(), Clock()
    handler = logs.BoundedHandler(stream, logs.Bounds(most=10, alike=4, for_trouble=2), clock=clock)
    when = list[float]()
    for tick in range(3000):
        clock.now = tick / 10
        for event, level in (("said", logging.INFO), (f"kind {tick}", logging.INFO), ("bad", logging.ERROR)):
            handler.emit(record(event, level))
        when += [clock.now] * (len(stream.getvalue().splitlines()) - len(when))

    assert all(sum(at <= one < at + 60 for one in when) <= 10 for at in when)
    said = stream.getvalue().splitlines()
    assert sum(line.startswith("log_lines_suppressed") for line in said) in (4, 5)
    assert sum(line == "bad" for line in said) >= 8
    assert len(handler._seen) <= 10


def test_after_a_minute_there_is_room_again() -> None:
    stream, clock = io.StringIO(), Clock()
    handler = logs.BoundedHandler(stream, logs.Bounds(alike=3), clock=clock)
    for _ in range(5):
        handler.emit(record("said"))
    assert stream.getvalue().count("said") == 3

    clock.now = 60.0
    handler.emit(record("said"))

    assert stream.getvalue().splitlines()[3].startswith("log_lines_suppressed: 2 lines")
    assert stream.getvalue().count("\nsaid") == 3
