"""Points for what people do; the table is in `rules.points`."""

from common.clock import now
from common.ids import Id
from documents.accounts import Activity, User
from realtime.features.accounts.rules import points
from realtime.features.accounts.rules.points import AWARDS, Kind


class ActivityService:
    """Writes the ledger. Other features say what happened; `cause` names it, so that it counts once."""

    async def record(self, user_id: Id, kind: Kind, cause: str) -> bool:
        """Note that somebody did something; whether it earned points."""
        today = points.day(now())
        entry = Activity(
            user_id=user_id,
            kind=kind,
            cause=f"{kind}:{today if kind == 'visit' else cause}",
            day=today,
            slot=0,
            points=AWARDS[kind].points,
        )
        outcome = await entry.add(AWARDS[kind].a_day)
        earned = entry.points if outcome == "added" else 0
        if outcome != "known":
            await User.credit(user_id, earned, today, points.day_before(today))
        return outcome == "added"
