"""What administrators do with accounts: each change and its audit row are one transaction."""

from typing import Literal

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from common.ids import Id
from documents.accounts.audit import AdminAudit, AuditTurn
from documents.accounts.leaving import another_administers
from documents.accounts.logins import LoginSession
from documents.accounts.names import claims_of
from documents.accounts.standing import FLAGS, active, free_of, holds, standing_of, under
from documents.accounts.users import Decision, User
from documents.rows import Raw, rows

Listing = Literal["active", "pending", "rejected", "banned", "muted", "limited", "leaving", "staff"]

_OUTCOME: dict[Decision, Raw] = {"approve": {"is_approved": True}, "reject": {"rejected": True}}
_ROLES = ("is_admin", "is_moderator")
_LAST_CHARACTER = "\U0010ffff"


def listing(kind: Listing | None, handle_key: str | None, email_key: str | None) -> Raw:
    """A condition: accounts of that kind whose id, handle or address is this, or begins with it."""
    conditions: list[Raw] = [_kind(kind)] if kind is not None else []
    if handle_key is not None and email_key is not None:
        named = [{"_id": handle_key}, {"handle_key": _begins(handle_key)}, {"email_key": _begins(email_key)}]
        conditions.append({"$or": named})
    return {"$and": conditions} if conditions else {}


def _kind(kind: Listing) -> Raw:
    waiting = {"is_approved": False, "rejected": False, "leaving": None, **free_of("ban")}
    conditions: dict[Listing, Raw] = {
        "active": active(),
        "pending": waiting,
        "rejected": {"rejected": True, "leaving": None, **free_of("ban")},
        "banned": under("ban"),
        "muted": under("mute"),
        "limited": under("limit"),
        "leaving": {"leaving.deletes_at": {"$type": "date"}},
        "staff": {"$or": [{role: True} for role in _ROLES]},
    }
    return conditions[kind]


def _begins(text: str) -> Raw:
    return {"$gte": text, "$lt": text + _LAST_CHARACTER, "$type": "string"}


async def decide(actor: str, user_id: Id, decision: Decision) -> Literal["done", "decided", "absent"]:
    """Approve or reject who waits: one decision stands."""

    async def work(turn: AuditTurn) -> bool:
        waiting = {"_id": user_id, "is_approved": False, "rejected": False}
        change = {"$set": _OUTCOME[decision]}
        result = await rows(User).update_one(waiting, change, session=turn.session)
        if result.modified_count == 1:
            await turn.note(actor, f"user_{decision}", user_id)
        return result.modified_count == 1

    if await AdminAudit.turn(work):
        return "done"
    return "decided" if await User.caller(user_id) else "absent"


async def alter(
    actor: str, user_id: Id, changes: Raw
) -> User | Literal["absent", "last_admin", "restricted"]:
    """Set flags of an account. An administrator who takes part remains, whoever else is altered meanwhile.

    Who stops taking part is logged in nowhere any more; who is restricted gets no role.
    """

    async def work(turn: AuditTurn) -> User | Literal["absent", "last_admin", "restricted"]:
        users = rows(User)
        raw = await users.find_one({"_id": user_id}, session=turn.session)
        if raw is None:
            return "absent"
        new = {name: value for name, value in changes.items() if raw.get(name) != value}
        if not new:
            return User.model_validate(raw)
        granted = any(new.get(role) for role in _ROLES)
        if granted and any(holds(raw, restriction) for restriction in FLAGS):
            return "restricted"
        after = {**raw, **new}
        stops = _administers(raw) and not _administers(after)
        if stops and not await another_administers(users, user_id, turn.session):
            return "last_admin"
        changed = await users.find_one_and_update(
            {"_id": user_id},
            {"$set": {**new, **(_unrestricted() if granted else {})}, "$inc": {"revision": 1}},
            return_document=ReturnDocument.AFTER,
            session=turn.session,
        )
        if standing_of(after) != "active":
            await LoginSession.revoke_all(user_id, "suspended", session=turn.session)
        said = {name: [raw.get(name), new[name]] for name in new}
        await turn.note(actor, "user_changed", user_id, changes=said)
        return User.model_validate(changed)

    return await AdminAudit.turn(work)


async def create(user: User, actor: str, action: str) -> bool:
    """Store a new person; False when the e-mail address or the handle is taken."""
    user.handle_claims = claims_of(user.handle_key, user.handle_skeleton)

    async def work(turn: AuditTurn) -> None:
        await rows(User).insert_one(user.model_dump(by_alias=True), session=turn.session)
        await turn.note(actor, action, user.id)

    try:
        await AdminAudit.turn(work)
    except DuplicateKeyError:
        return False
    return True


def _administers(raw: Raw) -> bool:
    return bool(raw["is_admin"]) and standing_of(raw) == "active"


def _unrestricted() -> Raw:
    """What is over is not kept for who gets a role."""
    return {field: value for flag, end in FLAGS.values() for field, value in ((flag, False), (end, None))}
