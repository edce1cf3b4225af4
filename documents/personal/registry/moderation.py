"""What moderators know and do."""

from documents.moderation import Case, Report, ReportCount, Sanction
from documents.personal.holdings import Copy, Elsewhere, Holding, Keep, Replace, ReplaceWith

MODERATION: tuple[Holding, ...] = (
    Holding(
        Case,
        {
            "subject_id": ReplaceWith("target_id"),
            "target_id": Elsewhere("subject_id"),
            "claimed_by": Replace(),
            "decided_by": Replace(),
        },
        others=("_id", "sanction_id"),
        copy="what others have reported",
    ),
    Holding(
        Report,
        {
            "reporter": Replace(),
            "target_id": Elsewhere("documents.personal.traces"),
            "evidence": Keep("Moderators decide on it, and it expires. Ids in it are replaced."),
        },
        others=("_id", "case_id"),
        copy=Copy(
            "reports",
            "reporter",
            ("target_type", "target_id", "reason", "text", "state", "created_at", "decided_at"),
        ),
    ),
    Holding(ReportCount, {}, copy="a counter, under a hash, for two days"),
    Holding(
        Sanction,
        {"user_id": Replace(), "issued_by": Replace(), "reversed_by": Replace()},
        others=("_id", "case_id"),
        copy=Copy("sanctions", "user_id", ("action", "reason", "issued_at", "until", "state", "reversed_at")),
    ),
)
