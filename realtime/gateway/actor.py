"""The session actor: one connection's commands, one after the other, each answered once."""

import time
from collections.abc import Coroutine
from dataclasses import dataclass
from types import CoroutineType
from typing import Any, cast

import orjson
import structlog
from pydantic import BaseModel

from common import metrics
from common.errors import AppError, Invalid, as_app_error, wire_error
from common.ids import new_id
from realtime.actors import Actor, Ask, Tell
from realtime.deadlines import Deadline
from realtime.fanout import Packet
from realtime.gateway.commands import Command
from realtime.gateway.packets import Incoming
from realtime.gateway.session import Session

log = structlog.get_logger(__name__)


Left = Coroutine[Any, Any, BaseModel | None]
"""What is left of a command when it has to wait."""


@dataclass(slots=True)
class Do(Tell):
    """Run a command for this session, or what is left of it."""

    command: Command
    said: Incoming
    received: float
    left: Left | None = None


def ok_packet(ack: int, result: BaseModel | None) -> Packet:
    """Say yes: `{"ok": true, "data": …}`."""
    data = "{}" if result is None else result.__pydantic_serializer__.to_json(result, by_alias=True).decode()
    return Packet(f'3{ack}[{{"ok":true,"data":{data}}}]')


def refusal_packet(ack: int | None, error: BaseException, request_id: str) -> Packet:
    """Say no: `{"ok": false, "error": {…}}`, or the event `error` when the client wants no ack."""
    body = wire_error(error, request_id)
    if ack is None:
        return Packet("2" + orjson.dumps(["error", body]).decode())
    return Packet(f"3{ack}" + orjson.dumps([{"ok": False, "error": body}]).decode())


def begin(session: Session, command: Command, said: Incoming) -> Left | None:
    """Run a command here and now; if it has to wait for something, what is left of it is returned."""
    if not session.is_open:
        return None
    try:
        session.require_fresh()
        body = command.validate(said.payload, by_alias=True, by_name=False)
        result: Any = command.handler(session, body)
    except Exception as error:
        _refuse(session, command, said.ack, error, new_id())
        return None
    if type(result) is CoroutineType:
        return cast("Left", result)
    if said.ack is not None:
        session.send(ok_packet(said.ack, result))
    command.succeeded.inc()
    return None


class SessionActor(Actor):
    """Runs the commands of one session in the order in which they came."""

    keeps_time = True

    def __init__(self, session: Session, time: Deadline) -> None:
        self._session, self._time = session, time

    def receive(self, message: Ask[Any] | Tell) -> Coroutine[Any, Any, None] | None:
        if not isinstance(message, Do):
            raise TypeError(message)
        left = message.left or begin(self._session, message.command, message.said)
        return None if left is None else self._finish(message, left)

    async def _finish(self, job: Do, left: Left) -> None:
        session, command = self._session, job.command
        if not session.is_open:
            left.close()
            return
        request_id = new_id()
        structlog.contextvars.bind_contextvars(request_id=request_id, session_id=session.id)
        try:
            with self._time.limit():
                result = await left
        except Exception as error:
            _refuse(session, command, job.said.ack, error, request_id)
        else:
            if job.said.ack is not None:
                session.send(ok_packet(job.said.ack, result))
            command.succeeded.inc()
        command.seconds.observe(time.perf_counter() - job.received)


def _refuse(session: Session, command: Command, ack: int | None, error: Exception, request_id: str) -> None:
    problem = as_app_error(error)
    if problem.code == "internal":
        trace = {"command": command.name, "request_id": request_id, "session_id": session.id}
        log.error("command_failed", exc_info=error, **trace)
    session.send(refusal_packet(ack, _without_values(problem), request_id))
    metrics.commands.labels(command.name, problem.code).inc()


def _without_values(problem: AppError) -> AppError:
    """Field errors name fields; a deep path of a hostile payload is cut."""
    if isinstance(problem, Invalid):
        for item in problem.errors:
            item.field = item.field[:100]
    return problem
