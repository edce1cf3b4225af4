"""Words: what people may write about themselves."""

import unicodedata

_UNSEEN = frozenset(
    "\u200b\u2060\ufeff\u00ad\u180e\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


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
    for char in text:
        if (unicodedata.category(char) in {"Cc", "Cs", "Cn"} and char not in allowed) or char in _UNSEEN:
            raise ValueError("holds characters that cannot be shown")
    clean = unicodedata.normalize("NFC", text).strip()
    if len(clean) > longest:
        raise ValueError(f"at most {longest} characters")
    return clean
