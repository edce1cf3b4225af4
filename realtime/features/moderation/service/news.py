"""Telling moderators what happens in the queue, while they look at it."""

from documents.moderation import Case
from realtime import channels
from realtime.channels import Publication
from realtime.fanout import Delivery, Fanout, packet_of
from realtime.features.moderation.schemas.queue import ReportReceived, ReportUpdated


class QueueNews:
    """A hint, stored nowhere: the queue is what can be asked for. Whose doing a case is hears nothing."""

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout

    def received(self, case: Case, reason: str) -> None:
        """One more has reported it."""
        said = ReportReceived(
            report_id=case.id,
            target_type=case.target_type,
            reason=reason,
            reporters=case.reporters,
            first_at=case.first_at,
        )
        self._say(case, said)

    def updated(self, case: Case) -> None:
        """Somebody works on it, or has decided."""
        said = ReportUpdated(
            report_id=case.id,
            status=case.state,
            reporters=case.reporters,
            claimed_by=case.holder,
            decided_by=case.decided_by,
        )
        self._say(case, said)

    def _say(self, case: Case, said: Publication) -> None:
        delivery = Delivery((channels.MODERATORS,), packet_of(said), ephemeral=True, origin=case.subject_id)
        self._fanout.deliver(delivery)
