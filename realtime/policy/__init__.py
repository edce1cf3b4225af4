"""The one policy: who may see and do what. `can(viewer, verb, object)` decides, from one truth table."""

from realtime.policy.policy import PersonAbsent, Policy, Refused
from realtime.policy.table import Outcome, Relation, decide
from realtime.policy.verbs import Verb

__all__ = ["Outcome", "PersonAbsent", "Policy", "Refused", "Relation", "Verb", "decide"]
