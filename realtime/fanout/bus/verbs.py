"""The commands of publish/subscribe, which a cluster calls by other names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verbs:
    """How to publish, to subscribe and to stop that."""

    publish: str
    subscribe: str
    unsubscribe: str


PLAIN = Verbs("PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE")
SHARDED = Verbs("SPUBLISH", "SSUBSCRIBE", "SUNSUBSCRIBE")
