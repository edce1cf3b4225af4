"""What is done about people: imposed, reversed, and told to them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog

from common.clock import iso, now
from common.ids import Id
from common.tokens import AppealTokens
from documents.moderation import Report, Sanction
from realtime import channels
from realtime.features.moderation import rules, store
from realtime.features.moderation.schemas.needs import Neighbours, Turn
from realtime.features.moderation.schemas.people import OwnSanctionOut
from realtime.features.moderation.schemas.queue import ActionIn, ReverseIn, SanctionOut
from realtime.features.moderation.store import Mutes
from realtime.features.notifications.schemas import Note
from realtime.policy import PersonAbsent

log = structlog.get_logger(__name__)

LISTED = 50
LATE = timedelta(seconds=5)
"""Who was to tell somebody of an action, and has not by then, is not going to."""
APPEALS = "/api/appeals"
BANNED = "account_banned"

_PAST = {"warn": "warned", "mute": "muted", "limit": "limited", "ban": "banned"}
_DONE = {
    "warn": "You were warned",
    "mute": "You may not write for now",
    "limit": "Your account was limited",
    "ban": "You were banned",
}
_UNDONE = {
    "warn": "A warning was taken back",
    "mute": "Your being muted was taken back",
    "limit": "The limit on your account was taken back",
    "ban": "Your ban was taken back",
}


class SanctionService:
    """Warnings, mutes, limits and bans. Each takes effect on every node, ends by the clock, and is told."""

    def __init__(self, around: Neighbours, mutes: Mutes, tokens: AppealTokens) -> None:
        self._audit, self._staff, self._fanout = around.audit, around.staff, around.fanout
        self._notifier, self._mutes, self._tokens = around.notifier, mutes, tokens

    # -- by moderators

    async def act(self, by: Id, user_id: Id, body: ActionIn) -> SanctionOut:
        """Do something about a person."""
        await self._staff.require_moderator(by)
        return await self.act_as(by, user_id, body)

    async def act_as(self, actor: str, user_id: Id, body: ActionIn) -> SanctionOut:
        """The same for the command line."""
        sanction = Sanction(
            user_id=user_id,
            action=body.action,
            reason=body.reason,
            note=body.note,
            issued_by=actor,
            until=rules.ends(body.action, body),
        )
        await self._audit.turn(lambda turn: self.impose(turn, sanction))
        await self.take_effect(sanction)
        return store.sanction(sanction)

    async def impose(self, turn: Turn, sanction: Sanction) -> None:
        """Store it with its audit row; raises `PersonAbsent` or `StaffProtected`."""
        outcome = await sanction.impose(turn.session)
        if outcome == "absent":
            raise PersonAbsent
        if outcome == "staff":
            raise rules.StaffProtected
        await turn.note(
            sanction.issued_by,
            f"person_{_PAST[sanction.action]}",
            sanction.user_id,
            sanction=sanction.id,
            until=iso(sanction.until) if sanction.until is not None else None,
        )

    async def reverse(self, by: Id, sanction_id: Id, body: ReverseIn) -> SanctionOut:
        """Take an action back; raises `SanctionOver` when that was done."""
        await self._staff.require_moderator(by)
        sanction = await self._audit.turn(lambda turn: self.undo(turn, by, sanction_id, body.reason))
        await self.take_effect(sanction)
        return store.sanction(sanction)

    async def undo(self, turn: Turn, by: str, sanction_id: Id, why: str) -> Sanction:
        """The same within a turn."""
        sanction = await Sanction.reverse(sanction_id, by, why, turn.session)
        if sanction is None:
            known = await Sanction.by_id(sanction_id, turn.session)
            raise rules.SanctionNotFound if known is None else rules.SanctionOver
        if sanction.user_id == by:  # what was done about oneself before one had a role
            raise rules.SanctionNotFound
        await turn.note(by, "action_reversed", sanction.user_id, sanction=sanction_id, action=sanction.action)
        return sanction

    async def lift(self, actor: str, user_id: Id, why: str) -> int:
        """Reverse every ban of a person that holds; how many there were. For the command line."""
        bans = await Sanction.in_force(user_id, "ban")
        for ban in bans:
            await self.take_effect(
                await self._audit.turn(lambda turn, ban=ban: self.undo(turn, actor, ban.id, why))
            )
        return len(bans)

    async def about(self, by: Id, user_id: Id) -> list[SanctionOut]:
        """What was done about a person, newest first."""
        await self._staff.require_moderator(by)
        return [store.sanction(one) for one in await Sanction.of(user_id, LISTED)]

    # -- taking effect: stored it has already

    async def take_effect(self, sanction: Sanction) -> None:
        """Let this node know at once, end what must end, and tell the person."""
        self._staff.forget_person(sanction.user_id)
        await self._learn()
        if sanction.action == "ban" and sanction.state == "standing":
            self._fanout.close(channels.user(sanction.user_id), BANNED)
            await self._staff.end_all(sanction.user_id, "banned")
        log.info("sanction", sanction_id=sanction.id, action=sanction.action, state=sanction.state)
        await self._tell(sanction)

    async def _learn(self) -> None:
        """Should it fail, the next look is a second away."""
        try:
            await self._mutes.look()
        except Exception as error:
            log.warning("mutes_not_seen", error=type(error).__name__)

    async def _tell(self, sanction: Sanction) -> None:
        """Should it fail, `tell_untold` does it later; the same is told once."""
        try:
            await self._notifier.notify(sanction.user_id, _note(sanction))
            await Sanction.mark_told(sanction)
        except Exception as error:
            log.warning("sanction_not_told", sanction_id=sanction.id, error=type(error).__name__)

    async def tell_untold(self) -> None:
        """Tell people what somebody failed to tell them."""
        for sanction in await Sanction.untold(now() - LATE, LISTED):
            await self._tell(sanction)

    # -- for the person concerned

    async def own(self, user_id: Id) -> list[OwnSanctionOut]:
        """What was done about the caller, newest first."""
        found = await Sanction.of(user_id, LISTED)
        waiting = await Report.open_among(user_id, rules.APPEAL, [one.id for one in found])
        return [store.own_sanction(one, waits=one.id in waiting) for one in found]

    async def explain(self, user_id: Id) -> Mapping[str, Any] | None:
        """What a banned person is told when they show who they are; None when nobody banned them here."""
        bans = await Sanction.in_force(user_id, "ban")
        if not bans:
            return None
        ban = bans[0]
        waits = await Report.open_of(user_id, rules.APPEAL, ban.id) is not None
        state = store.own_sanction(ban, waits=waits).appeal
        token = self._tokens.issue(ban.id, ban.appeals) if state == "possible" else None
        return {
            "reason": ban.reason,
            "until": iso(ban.until) if ban.until is not None else None,
            "sanctionId": ban.id,
            "appeal": {"status": state, "path": APPEALS, "token": token},
        }


def _note(sanction: Sanction) -> Note:
    reversed_ = sanction.state == "reversed"
    said = (_UNDONE if reversed_ else _DONE)[sanction.action]
    why = sanction.reversed_why if reversed_ else sanction.reason
    return Note(
        type="system",
        key=f"sanction:{sanction.id}:{sanction.state}",
        text=f"{said}: {why}" if why else f"{said}.",
        data={
            "sanctionId": sanction.id,
            "action": sanction.action,
            "state": sanction.state,
            "reason": why,
            "until": iso(sanction.until) if sanction.until is not None else None,
        },
    )
