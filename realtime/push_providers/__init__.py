"""The providers of phone pushes, each behind the port `Push`: Apple, Firebase, and the browsers' own."""

from realtime.push_providers.configured import BadPushKey, configured

__all__ = ["BadPushKey", "configured"]
