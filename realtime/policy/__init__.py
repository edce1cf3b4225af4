"""The one policy: who may see and do what. `can(viewer, verb, object)` decides, from one truth table."""

from realtime.policy.facts import Between
from realtime.policy.policy import Limited, PersonAbsent, Policy, Refused, View
from realtime.policy.table import Outcome, Relation, decide
from realtime.policy.verbs import Verb

__all__ = [
    "Between",
    "Limited",
    "Outcome",
    "PersonAbsent",
    "Policy",
    "Refused",
    "Relation",
    "Verb",
    "View",
    "decide",
]
