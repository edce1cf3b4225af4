"""A word of the policy: its value, and what it means in one sentence, for the page made from them."""

from enum import StrEnum
from typing import Self


class Word(StrEnum):
    """Members are written `NAME = "value", "What it means."`."""

    about: str

    def __new__(cls, value: str, about: str) -> Self:
        made = str.__new__(cls, value)
        made._value_ = value
        made.about = about
        return made
