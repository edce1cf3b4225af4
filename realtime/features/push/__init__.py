"""Push: notes that reach a person's phones and browsers while nobody looks at Plaza there."""

from realtime.features.push.schemas import PushNote

__all__ = ["PushNote"]
