"""Text is UTF-8 (RFC 6455, section 8.1): the sequences of the Autobahn suite's group 6.

Engine.IO's type stands before each. Every sequence is said whole and again in fragments of one octet.
"""

import pytest

from tests.protocol.cases import NOT_TEXT, Case, holds, table
from tests.protocol.echo import EchoServer
from tests.protocol.wire import close, fragments, more, ping, pong, text

KOSME = "cebae1bdb9cf83cebcceb5"

VALID = {
    "6.2.1": "Hello-µ@ßöäüàá-UTF-8!!".encode().hex(),
    "6.2.4": KOSME,
    "6.6.2": "ceba",
    "6.6.5": "cebae1bdb9",
    "6.6.7": "cebae1bdb9cf83",
    "6.6.9": "cebae1bdb9cf83cebc",
    "6.7.1": "00",
    "6.7.2": "c280",
    "6.7.3": "e0a080",
    "6.7.4": "f0908080",
    "6.9.1": "7f",
    "6.9.2": "dfbf",
    "6.9.3": "efbfbf",
    "6.9.4": "f48fbfbf",
    "6.11.1": "ed9fbf",
    "6.11.2": "ee8080",
    "6.11.3": "efbfbd",
    "6.11.4": "f48fbfbf",
    "6.22.1": "efbfbe",
    "6.22.2": "efbfbf",
    "6.22.3": "f09fbfbe",
    "6.22.34": "f48fbfbf",
    "6.23.1": "efbfb9",
    "6.23.7": "efbfbf",
    "a byte order mark": "efbbbf78",
}

INVALID = {
    "6.3.1": "cebae1bdb9cf83cebcceb5eda080656469746564",
    "6.4.1": "cebae1bdb9cf83cebcceb5f4908080656469746564",
    "6.6.1": "ce",
    "6.6.3": "cebae1",
    "6.6.4": "cebae1bd",
    "6.6.6": "cebae1bdb9cf",
    "6.6.8": "cebae1bdb9cf83ce",
    "6.6.10": "cebae1bdb9cf83cebcce",
    "6.8.1": "f888808080",
    "6.8.2": "fc8480808080",
    "6.10.1": "f7bfbfbf",
    "6.10.2": "fbbfbfbfbf",
    "6.10.3": "fdbfbfbfbfbf",
    "6.11.5": "f4908080",
    "6.12.1": "80",
    "6.12.2": "bf",
    "6.12.3": "80bf",
    "6.12.8": "80818283848586",
    "6.13.1": "c020c120c220df20",
    "6.13.2": "e020e120ef20",
    "6.13.3": "f020f120f720",
    "6.13.4": "f820fb20",
    "6.13.5": "fc20fd20",
    "6.14.1": "c0",
    "6.14.2": "e080",
    "6.14.3": "f08080",
    "6.14.4": "f8808080",
    "6.14.5": "fc80808080",
    "6.14.6": "df",
    "6.14.7": "efbf",
    "6.14.8": "f7bfbf",
    "6.14.9": "fbbfbfbf",
    "6.14.10": "fdbfbfbfbf",
    "6.15.1": "c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf",
    "6.16.1": "fe",
    "6.16.2": "ff",
    "6.16.3": "fefeffff",
    "6.17.1": "c0af",
    "6.17.2": "e080af",
    "6.17.3": "f08080af",
    "6.17.4": "f8808080af",
    "6.17.5": "fc80808080af",
    "6.18.1": "c1bf",
    "6.18.2": "e09fbf",
    "6.18.3": "f08fbfbf",
    "6.18.4": "f887bfbfbf",
    "6.18.5": "fc83bfbfbfbf",
    "6.19.1": "c080",
    "6.19.2": "e08080",
    "6.19.3": "f0808080",
    "6.19.4": "f880808080",
    "6.19.5": "fc8080808080",
    "6.20.1": "eda080",
    "6.20.2": "edadbf",
    "6.20.3": "edae80",
    "6.20.4": "edafbf",
    "6.20.5": "edb080",
    "6.20.6": "edbe80",
    "6.20.7": "edbfbf",
    "6.21.1": "eda080edb080",
    "6.21.2": "eda080edbfbf",
    "6.21.8": "edafbfedbfbf",
}


def message(octets: str) -> bytes:
    return b"4" + bytes.fromhex(octets)


@pytest.mark.parametrize("octets", VALID.values(), ids=VALID.keys())
async def test_valid_sequences_come_back(echo: EchoServer, octets: str) -> None:
    said = text(message(octets))
    parts = fragments(said, 1)
    await holds(echo, Case("whole, then in fragments", (said, *parts), (said, said)))


@pytest.mark.parametrize("octets", INVALID.values(), ids=INVALID.keys())
async def test_invalid_sequences_are_refused(echo: EchoServer, octets: str) -> None:
    good, bad = text(message(KOSME)), text(message(octets))
    await holds(echo, Case("whole", (good, bad, good), (good,), NOT_TEXT))
    await holds(echo, Case("in fragments", (good, *fragments(bad, 1), good), (good,), NOT_TEXT))


HALF = bytes.fromhex("e1bd"), bytes.fromhex("b9")


@table(
    Case("6.1.2", (text("4", fin=False), more(b""), more(b"", fin=True)), (text("4"),)),
    Case("6.1.3", (text("", fin=False), more(b"4middle"), more(b"", fin=True)), (text("4middle"),)),
    Case(
        "6.2.2", (text("4Hello-µ@ßöä", fin=False), more("üàá".encode(), fin=True)), (text("4Hello-µ@ßöäüàá"),)
    ),
    Case(
        "split within a letter, with a ping there",
        (text(b"4" + HALF[0], fin=False), ping(b"here"), more(HALF[1], fin=True)),
        (pong(b"here"), text(b"4" + b"".join(HALF))),
    ),
    Case("split within a letter", (text(b"4" + HALF[0] + HALF[1]),), (text(b"4" + b"".join(HALF)),), chop=1),
    Case("half a letter at the end", (text(b"4x", fin=False), more(HALF[0], fin=True)), end=NOT_TEXT),
    Case(
        "each fragment wrong, the whole right, is right",
        (text(b"4" + HALF[0], fin=False), more(HALF[1] + HALF[0]), more(HALF[1], fin=True)),
        (text(b"4" + b"".join(HALF) * 2),),
    ),
)
async def test_letters_may_be_split_but_must_be_whole_in_the_end(echo: EchoServer, case: Case) -> None:
    await holds(echo, case)


@table(
    Case("7.5.1", (close(1000, bytes.fromhex(INVALID["6.3.1"])),), end=NOT_TEXT),
    Case("half a letter", (close(1000, HALF[0]),), end=NOT_TEXT),
    Case("a surrogate", (close(3000, bytes.fromhex("eda080")),), end=NOT_TEXT),
)
async def test_the_reason_of_a_close_is_text_as_well(echo: EchoServer, case: Case) -> None:
    await holds(echo, case)
