"""The providers of phone pushes, each behind the port `Push`: Apple, Firebase, and the browsers' own."""

from realtime.push_providers.configured import configured

__all__ = ["configured"]
