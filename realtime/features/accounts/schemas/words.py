"""Words: what people may write about themselves, and how they are found by parts of it.

For searching, case and accents are folded away and each word is cut into grams. Scripts that do not put
spaces between words give all pieces of one to three characters; the others give pieces of three, and their
first one and two letters, so that `jo` finds `john`.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import groupby

LONGEST_QUERY = 64
MOST_WORDS = 8
MOST_GRAMS = 800
_SIZE = 3
_WORD = re.compile(r"[^\W_]+")
_DENSE = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x9FFF),  # Han
    (0xAC00, 0xD7AF),  # Hangul
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
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


def fold(text: str) -> str:
    """`text` without case and accents."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", text) if unicodedata.category(char) != "Mn")
    return unicodedata.normalize("NFKC", bare.casefold())


def words_of(text: str) -> list[str]:
    """The folded words of a text."""
    return _WORD.findall(fold(text))


def searchable(texts: Iterable[str]) -> tuple[str, list[str]]:
    """The folded text of somebody and its grams, the first texts first."""
    words = [word for text in texts for word in words_of(text)]
    grams: dict[str, None] = {}
    for word in words:
        for run, dense in _runs(word):
            grams.update(dict.fromkeys(_stored_grams(run, dense=dense)))
    return " ".join(words), list(grams)[:MOST_GRAMS]


def wanted(query: str) -> tuple[list[str], list[str]]:
    """The grams that whoever fits a query must have, and the words that grams alone do not prove."""
    grams: dict[str, None] = {}
    unproven: list[str] = []
    for word in words_of(query[:LONGEST_QUERY])[:MOST_WORDS]:
        its = [gram for run, dense in _runs(word) for gram in _query_grams(run, dense=dense)]
        grams.update(dict.fromkeys(its))
        if len(its) > 1:
            unproven.append(word)
    return list(grams), unproven


def _runs(word: str) -> Iterator[tuple[str, bool]]:
    """A word in stretches that are dense or not."""
    for dense, chars in groupby(word, _is_dense):
        yield "".join(chars), dense


def _is_dense(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in _DENSE)


def _stored_grams(run: str, *, dense: bool) -> Iterator[str]:
    if not dense:
        yield from (f"^{run[:size]}" for size in (1, 2))
    for size in (1, 2, 3) if dense else (_SIZE,):
        yield from _pieces(run, size)


def _query_grams(run: str, *, dense: bool) -> Iterator[str]:
    if len(run) >= _SIZE:
        yield from _pieces(run, _SIZE)
    else:
        yield run if dense else f"^{run}"


def _pieces(run: str, size: int) -> Iterator[str]:
    return (run[start : start + size] for start in range(len(run) - size + 1))
