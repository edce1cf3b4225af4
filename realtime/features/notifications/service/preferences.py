"""What people want to be told, and when not to be disturbed."""

from collections.abc import Collection

from common.ids import Id
from documents.notifications import NotificationChoices
from realtime.features.notifications import rules
from realtime.features.notifications.schemas import PreferencesIn, PreferencesOut


class Preferences:
    """What each person has chosen; who has chosen nothing is told everything."""

    async def of(self, user_id: Id) -> PreferencesOut:
        return (await self.of_many([user_id]))[user_id]

    async def of_many(self, user_ids: Collection[Id]) -> dict[Id, PreferencesOut]:
        found = await NotificationChoices.of(user_ids)
        return {
            user: rules.preferences(chosen.types, chosen.quiet_hours)
            if (chosen := found.get(user)) is not None
            else rules.preferences({}, None)
            for user in user_ids
        }

    async def change(self, user_id: Id, body: PreferencesIn) -> PreferencesOut:
        """Choose anew what is named; the rest stays."""
        types = {type_: choice.model_dump(by_alias=True) for type_, choice in body.types.items()}
        quiet_hours = body.quiet_hours.model_dump(by_alias=True) if body.quiet_hours is not None else None
        chosen = await NotificationChoices.choose(user_id, types, quiet_hours)
        return rules.preferences(chosen.types, chosen.quiet_hours)
