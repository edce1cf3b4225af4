"""The session actor: one connection's commands, one after the other, each answered once."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, cast

import orjson
import structlog
from pydantic import BaseModel

from common import metrics
from common.errors import AppError, Invalid, as_app_error, wire_error
from common.ids import new_id
from realtime.actors import Actor, Ask, Tell
from realtime.fanout import Packet
from realtime.gateway.commands import Command
from realtime.gateway.packets import EVENT, Incoming
from realtime.gateway.session import Session

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Do(Tell):
    """Run a command for this session."""

    command: Command
    payload: Any
    ack: int | None
    received: float


def ok_packet(ack: int, result: BaseModel | None) -> Packet:
    """Say yes: `{"ok": true, "data": …}`."""
    data = result.model_dump_json(by_alias=True) if result is not None and type(result).model_fields else "{}"
    return Packet(f'3{ack}[{{"ok":true,"data":{data}}}]')


def refusal_packet(ack: int | None, error: BaseException, request_id: str) -> Packet:
    """Say no: `{"ok": false, "error": {…}}`, or the event `error` when the client wants no ack."""
    body = wire_error(error, request_id)
    if ack is None:
        return Packet("2" + orjson.dumps(["error", body]).decode())
    return Packet(f"3{ack}" + orjson.dumps([{"ok": False, "error": body}]).decode())


def run_at_once(session: Session, command: Command, said: Incoming) -> None:
    """Run a command that never waits, here and now. It takes no time worth a histogram."""
    if not session.is_open:
        return
    try:
        session.require_fresh()
        result = command.handler(session, _body_of(command, said.payload))
    except Exception as error:
        _refuse(session, command, said.ack, error, new_id())
        return
    if said.ack is not None:
        session.send(ok_packet(said.ack, cast("BaseModel | None", result)))
    command.succeeded.inc()


class SessionActor(Actor):
    """Runs the commands of one session in the order in which they came."""

    def __init__(self, session: Session, deadline: float) -> None:
        self._session, self._deadline = session, deadline

    async def receive(self, message: Ask[Any] | Tell) -> None:
        match message:
            case Do(command=command) if command.waits:
                await self._run(message)
            case Do(command=command):
                run_at_once(self._session, command, Incoming(EVENT, message.ack, payload=message.payload))
            case _:
                raise TypeError(message)

    async def _run(self, job: Do) -> None:
        session, command = self._session, job.command
        if not session.is_open:
            return
        request_id = new_id()
        structlog.contextvars.bind_contextvars(request_id=request_id, session_id=session.id)
        try:
            session.require_fresh()
            body = _body_of(command, job.payload)
            async with asyncio.timeout(self._deadline):
                result = await cast("Awaitable[BaseModel | None]", command.handler(session, body))
        except Exception as error:
            _refuse(session, command, job.ack, error, request_id)
        else:
            if job.ack is not None:
                session.send(ok_packet(job.ack, result))
            command.succeeded.inc()
        command.seconds.observe(time.perf_counter() - job.received)


def _body_of(command: Command, payload: Any) -> BaseModel:
    return command.body.model_validate(payload, by_alias=True, by_name=False)


def _refuse(session: Session, command: Command, ack: int | None, error: Exception, request_id: str) -> None:
    problem = as_app_error(error)
    if problem.code == "internal":
        log.exception("command_failed", command=command.name, exc_info=error)
    session.send(refusal_packet(ack, _without_values(problem), request_id))
    metrics.commands.labels(command.name, problem.code).inc()


def _without_values(problem: AppError) -> AppError:
    """Field errors name fields; a deep path of a hostile payload is cut."""
    if isinstance(problem, Invalid):
        for item in problem.errors:
            item.field = item.field[:100]
    return problem
