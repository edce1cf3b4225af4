"""Words: what people may write about themselves."""

import unicodedata

_UNSEEN = frozenset(
    "\u200b\u2060\ufeff\u00ad\u180e\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    "\u034f\u115f\u1160\u2800\u3164\uffa0"
)
_MOST_MARKS = 8
"""Marks on one letter. No script needs as many; more of them draw over the lines around."""


def line(text: str, longest: int) -> str:
    """One line in normal form, trimmed; raises `ValueError` for what cannot be shown or turns text round."""
    return _checked(text, longest, breaks=False)


def paragraph(text: str, longest: int) -> str:
    """The same, with line breaks."""
    return _checked(text.replace("\r\n", "\n"), longest, breaks=True)


def _checked(text: str, longest: int, *, breaks: bool) -> str:
    if len(text) > longest * 2:
        raise ValueError(f"at most {longest} characters")
    allowed = "\n\t" if breaks else ""
    marks = 0
    for char in text:
        kind = unicodedata.category(char)
        if (kind in {"Cc", "Cs", "Cn"} and char not in allowed) or char in _UNSEEN:
            raise ValueError("holds characters that cannot be shown")
        marks = marks + 1 if kind in {"Mn", "Me"} else 0
        if marks > _MOST_MARKS:
            raise ValueError("has too many marks on a letter")
    clean = unicodedata.normalize("NFC", text).strip()
    if len(clean) > longest:
        raise ValueError(f"at most {longest} characters")
    return clean


def is_visible(text: str) -> bool:
    """Whether there is something to see."""
    return any(unicodedata.category(char)[0] in "LNPS" for char in text)
