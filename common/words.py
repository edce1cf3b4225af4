"""Words of any script: folded, split, and cut into grams by which an index finds parts of them.

Case and accents are folded away. A word of a script that does not put spaces between words (`dense`) is found
by any piece of it; of other scripts by pieces of three letters and more, and by how it begins, so that `jo`
finds `john`. Where one kind of script meets the other, a word ends.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

START = "^"
LONGEST_START = 6
PIECE = 3

_DENSE = "".join(
    f"{chr(first)}-{chr(last)}"
    for first, last in (
        (0x0E00, 0x0EFF),  # Thai, Lao
        (0x1000, 0x109F),  # Burmese
        (0x1780, 0x17FF),  # Khmer
        (0x3040, 0x30FF),  # Hiragana, Katakana
        (0x3400, 0x9FFF),  # Han
        (0xAC00, 0xD7AF),  # Hangul
        (0xF900, 0xFAFF),
        (0x20000, 0x3FFFF),
    )
)
_ACCENTS = (
    (0x0300, 0x036F),  # of Latin, Greek and Cyrillic
    (0x0483, 0x0487),
    (0x0591, 0x05BD),  # Hebrew points
    (0x05BF, 0x05C7),
    (0x0610, 0x061A),  # Arabic ones
    (0x064B, 0x065F),
    (0x0670, 0x0670),
    (0x06D6, 0x06ED),
    (0x0E47, 0x0E4E),  # Thai tones
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFE20, 0xFE2F),
)
_MARKS = "".join(chr(code) for code in range(0x0300, 0x11FFF) if unicodedata.category(chr(code))[0] == "M")
"""Vowel signs and the like, which belong to the letter in front of them and are no letters to `re`."""

_WORD = re.compile(rf"[{_DENSE}](?:[{_DENSE}{_MARKS}])*|(?:[^\W_{_DENSE}][{_MARKS}]*)+")
_IS_DENSE = re.compile(f"[{_DENSE}]")
_WITHIN = "\u200c\u200d\u0640'\u2019"
"""What stands inside words and makes no other word of them."""

_PLAIN = {
    "đ": "d",
    "ð": "d",
    "ø": "o",
    "ł": "l",
    "ħ": "h",
    "ŧ": "t",
    "\u0131": "i",
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
}
"""Letters with a stroke or drawn together, which are no accented ones to Unicode."""

_FOLDED = str.maketrans(
    {
        **{chr(code): None for first, last in _ACCENTS for code in range(first, last + 1)},
        **dict.fromkeys(_WITHIN),
        **_PLAIN,
    }
)


def fold(text: str) -> str:
    """`text` without case and accents."""
    if text.isascii():
        return text.lower().replace("'", "")
    bare = unicodedata.normalize("NFKD", text).translate(_FOLDED)
    return unicodedata.normalize("NFKC", bare.casefold().translate(_FOLDED))


def words_of(text: str) -> list[str]:
    """The folded words of a text."""
    return _WORD.findall(fold(text))


def is_dense(word: str) -> bool:
    """Whether a word of `words_of` is of a script without spaces."""
    return not word.isascii() and _IS_DENSE.match(word) is not None


def grams_of(words: Iterable[str], longest_start: int = LONGEST_START) -> Iterator[str]:
    """All grams by which these words are found, word by word; the same one may come again."""
    for word in words:
        yield from (START + word[:size] for size in range(1, min(len(word), longest_start) + 1))
        for size in (1, 2, PIECE) if is_dense(word) else (PIECE,):
            yield from pieces(word, size)


def part_grams(word: str) -> list[str]:
    """The grams of every word that has `word` as a part: as its beginning, when it is short and not dense."""
    if len(word) > PIECE:
        return list(dict.fromkeys(pieces(word, PIECE)))
    if len(word) == PIECE or is_dense(word):
        return [word]
    return [START + word]


def start_gram(word: str) -> str:
    """The gram of every word that begins with `word`, or at least with its first letters."""
    return START + word[:LONGEST_START]


def holds(text: str, words: Iterable[str]) -> bool:
    """Whether every one of `words` is a part of a word of `text`, whose words are joined by spaces."""
    return all(word in text if len(word) >= PIECE or is_dense(word) else begins(text, word) for word in words)


def begins(text: str, word: str) -> bool:
    """Whether a word of `text` begins with `word`."""
    return text.startswith(word) or f" {word}" in text


def pieces(word: str, size: int) -> Iterator[str]:
    """All pieces of a word of this size, in order."""
    return (word[start : start + size] for start in range(len(word) - size + 1))
