"""What people are told: notifications, pushes and their logs."""

from common.ids import Id
from documents.notifications import Board, Notification, NotificationChoices
from documents.personal.holdings import Copy, Delete, Elsewhere, Holding, Keep
from documents.push import PushDelivery, PushDevice
from documents.rows import Raw
from documents.updates import Update


async def _shown_to(user_id: Id) -> Raw:
    """What stands in somebody's list: who is absent for them stays it in a copy."""
    return {"user": user_id, "state": "shown"}


_ON_ITS_WAY = Keep("It is told within seconds, and then it is gone.")
NOTIFICATIONS: tuple[Holding, ...] = (
    Holding(
        Notification,
        {
            "user": Delete(),
            "actor": Delete(),
            "key": Elsewhere("actor"),
            "data": Elsewhere("actor"),
        },
        others=("_id",),
        copy=Copy("notifications", _shown_to, ("type", "text", "created_at", "at", "read_at")),
    ),
    Holding(
        Board,
        {
            "_id": Delete(),
            "pending.notification.user": Elsewhere("_id"),
            "pending.actor": _ON_ITS_WAY,
            "pending.notification.actor": _ON_ITS_WAY,
        },
        others=("pending.notification._id", "pending.notification.data", "pending.ids", "pending.dismiss"),
        copy="changes on their way to devices",
    ),
    Holding(
        NotificationChoices,
        {"_id": Delete()},
        others=("quiet_hours",),
        copy=Copy("notification_choices", "_id", ("types", "quiet_hours")),
    ),
    Holding(
        PushDevice,
        {"user_id": Delete()},
        others=("_id", "login_id", "token"),
        copy=Copy("devices", "user_id", ("platform", "created_at", "seen_at")),
    ),
    Holding(
        PushDelivery,
        {"user_id": Delete()},
        others=("_id", "device_id", "key", "mark", "content", "claim"),
        copy="notifications on their way to devices",
    ),
    Holding(
        Update,
        {"user": Delete(), "data": Elsewhere("documents.personal.traces"), "key": Elsewhere("data")},
        copy="news for devices of what the other files hold",
    ),
)
