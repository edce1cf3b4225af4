"""The command line, run as people run it."""

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.clock import now
from documents.accounts import AuditHead, User
from documents.rows import rows
from realtime.features.accounts.rules.points import day
from tests.accounts import PASSWORD, log_in, new_handle, post
from tests.clients import Http, Person, sign_up
from tests.conftest import SECRET, MakeSettings, Node, StartNode


@dataclass
class Done:
    code: int
    out: str
    err: str


Run = Callable[..., Awaitable[Done]]


@pytest.fixture
def run(plaza: Node, tmp_path: Path) -> Run:
    """Run `python -m realtime …` on the database of the tests."""
    settings = plaza.services.settings
    assert settings.mongo_url is not None
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PLAZA_ENVIRONMENT": "test",
        "PLAZA_DATA_DIR": str(tmp_path),
        "PLAZA_MONGO_URL": settings.mongo_url.get_secret_value(),
        "PLAZA_DATABASE": rows(User).database.name,
        "PLAZA_JWT_SECRET": SECRET,
        "PLAZA_ACCOUNTS__BCRYPT_COST": "4",
        "NO_COLOR": "1",
    }

    async def ran(*arguments: str, given: str = "", **changes: str) -> Done:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "realtime", *arguments),
            env={name: value for name, value in {**environment, **changes}.items() if value},
            cwd=tmp_path,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(given.encode()), 60)
        return Done(process.returncode or 0, out.decode(), err.decode())

    return ran


async def test_settings_are_shown_without_secrets(run: Run) -> None:
    done = await run("check", PLAZA_LIMITS__USER_PER_MINUTE="77", PLAZA_SMTP__PASSWORD="the canary")
    assert done.code == 0
    assert "PLAZA_LIMITS__USER_PER_MINUTE=77\n" in done.out
    assert "PLAZA_JWT_SECRET=***\n" in done.out
    assert "PLAZA_SMTP__PASSWORD=***\n" in done.out
    assert SECRET not in done.out
    assert "canary" not in done.out
    assert "mongodb://" not in done.out


async def test_each_problem_of_the_settings_is_one_line(run: Run) -> None:
    done = await run("check", PLAZA_PORT="99999", PLAZA_LIMITS__MAILBOX="none", PLAZA_LOG_LEVEL="loud")
    assert done.code == 1
    names = [line.partition(":")[0] for line in done.err.splitlines()]
    assert sorted(names) == ["PLAZA_LIMITS__MAILBOX", "PLAZA_LOG_LEVEL", "PLAZA_PORT"]


async def test_production_does_not_start_without_a_proper_secret(run: Run) -> None:
    for secret in ("", "short"):
        done = await run("serve", PLAZA_ENVIRONMENT="production", PLAZA_JWT_SECRET=secret)
        assert done.code == 1
        assert "PLAZA_JWT_SECRET" in done.err
        assert len(done.err.splitlines()) == 1


async def test_the_first_administrator_is_made_here(run: Run, plaza: Node) -> None:
    name = new_handle("boss")

    done = await run(
        "admin", "create", "--username", name, "--email", f"{name}@example.org", "--random-password"
    )

    password = re.search(r"^password: (\S+)$", done.out, re.MULTILINE)
    assert password is not None, done.err
    logged_in = await log_in(plaza.url, f"{name}@example.org", password[1])
    assert logged_in.data["user"]["is_admin"] is True
    async with Http(plaza.url, logged_in.body["token"]) as http:
        assert (await http.get("/api/admin/users")).status == 200


async def test_an_administrator_is_made_while_the_server_runs_on_its_own_engine(
    run: Run, tmp_path: Path
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PLAZA_DATA_DIR": str(tmp_path),
        "PLAZA_ACCOUNTS__BCRYPT_COST": "4",
    }
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "realtime", "serve", "--port", "0"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert server.stdout is not None
    try:
        said = (await asyncio.wait_for(server.stdout.readline(), 60)).decode()
        address = re.search(r"http://localhost:\d+", said)
        assert address is not None, said

        done = await run(
            *("admin", "create", "--username", "boss", "--password-stdin"),
            given=f"{PASSWORD}\n",
            PLAZA_MONGO_URL="",
            PLAZA_DATABASE="plaza",
        )

        assert done.out.startswith("boss is an administrator"), done.err
        assert (await log_in(address[0], "boss", PASSWORD)).data["user"]["is_admin"] is True
    finally:
        server.terminate()
        await asyncio.wait_for(server.wait(), 30)


async def test_a_password_comes_from_the_input_and_is_checked(run: Run, plaza: Node) -> None:
    name = new_handle("boss")
    create = ("admin", "create", "--username", name, "--password-stdin")

    refused = await run(*create, given="short\n")
    made = await run(*create, given=f"{PASSWORD}\n")
    again = await run(*create, given=f"{PASSWORD}\n")
    unasked = await run("admin", "create", "--username", name)

    assert (refused.code, made.code, again.code, unasked.code) == (1, 0, 1, 1)
    assert refused.err.startswith("password: ")
    assert again.err.count("\n") == 1
    assert PASSWORD not in made.out
    assert (await log_in(plaza.url, name, PASSWORD)).status == 200


async def test_accounts_are_listed_and_decided_on(
    run: Run, start_node: StartNode, make_settings: MakeSettings
) -> None:
    careful = await start_node(make_settings(accounts={"approval_required": True}))
    first, second = new_handle("first"), new_handle("second")
    for username in (first, second):
        await post(careful.url, "/api/auth/register", {"username": username, "password": PASSWORD})

    pending = await run("users", "list", "--pending")
    approved = await run("users", "approve", first.upper())
    rejected = await run("users", "reject", second)
    again = await run("users", "approve", second)

    assert first in pending.out
    assert second in pending.out
    assert approved.out == f"{first} is active\n"
    assert rejected.out == f"{second} is rejected\n"
    assert again.code == 1
    assert (await log_in(careful.url, first, PASSWORD)).status == 200
    assert (await log_in(careful.url, second, PASSWORD)).code == "account_rejected"


async def test_an_account_is_deleted_and_stays_after_all(run: Run, plaza: Node) -> None:
    ann = await sign_up(plaza.url, "ann")
    await ann.leave()

    deleted = await run("users", "delete", ann.handle)
    refused = await log_in(plaza.url, ann.handle, ann.password)
    restored = await run("users", "restore", ann.id)
    again = await run("users", "restore", ann.id)

    assert (deleted.code, restored.code, again.code) == (0, 0, 1)
    assert refused.code == "account_leaving"
    assert (await log_in(plaza.url, ann.handle, ann.password)).status == 200


async def test_points_and_streaks_are_made_what_the_ledger_says(run: Run, plaza: Node) -> None:
    ann, bob = await sign_up(plaza.url, "ann"), await sign_up(plaza.url, "bob")
    for person in (ann, bob):
        await person.leave()
    await rows(User).update_one({"_id": ann.id}, {"$set": {"vibe_score": 900, "streak": 0}})

    one = await run("users", "recompute", ann.handle)
    again = await run("users", "recompute", ann.id)
    await rows(User).update_one({"_id": bob.id}, {"$set": {"streak_day": "1999-12-31"}})
    everybody = await run("users", "recompute", "--all")
    unclear = await run("users", "recompute")
    nobody = await run("users", "recompute", "nobody-there")

    today = day(now())
    assert one.out.splitlines() == [
        f"{ann.handle}: 900 points, streak 0 (last day {today}) -> 5 points, streak 1 (last day {today})",
        "1 looked at, 1 put right",
    ], one.err
    assert again.out == "1 looked at, 0 put right\n"
    assert f"{bob.handle}: 5 points, streak 1 (last day 1999-12-31) -> " in everybody.out
    assert ann.handle not in everybody.out
    assert (unclear.code, nobody.code) == (1, 1)
    user = await User.find_by("_id", ann.id)
    assert user is not None
    assert (user.vibe_score, user.streak, user.streak_day) == (5, 1, today)


async def test_somebody_is_banned_and_let_back_in_and_the_log_says_so(run: Run, ann: Person) -> None:
    device = await ann.device()

    banned = await run("users", "ban", ann.handle.upper(), "--reason", "spam", "--days", "3")

    assert (banned.code, banned.out.split(" until ")[0]) == (0, f"{ann.handle.upper()} is banned"), banned.err
    await asyncio.wait_for(device.closed.wait(), 2)
    refused = await log_in(ann.http.url, ann.handle, ann.password)
    assert (refused.code, refused.body["detail"]["reason"]) == ("account_banned", "spam")
    before = await rows(AuditHead).find_one({})
    assert before is not None
    assert (await run("users", "unban", ann.id)).out == f"{ann.id} is not banned\n"
    assert (await log_in(ann.http.url, ann.handle, ann.password)).status == 200

    whole = await run("audit", "verify", "--known", f"{before['seq']}:{before['hash']}")
    other = await run("audit", "verify", "--known", f"{before['seq']}:{'0' * 64}")

    assert re.fullmatch(
        rf"The audit log is whole. It ends with {before['seq'] + 1}:[0-9a-f]{{64}}\n", whole.out
    )
    lost = f"The audit log is broken: row {before['seq']} is not the one it was\n"
    assert (other.code, other.err) == (1, lost)
