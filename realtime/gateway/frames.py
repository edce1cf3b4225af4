"""WebSocket frames as clients send them (RFC 6455, sections 5, 7.4 and 8.1), read strictly."""

from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

PROTOCOL_ERROR: Final = 1002
NO_STATUS: Final = 1005
INVALID_TEXT: Final = 1007
TOO_LARGE: Final = 1009

Message = tuple[int, str | bytes]
"""An opcode and what came with it: text as `str`, everything else as `bytes`."""

_LONGEST_CONTROL = 125
_WHOLE_TEXT, _MASKED = 0x81, 0x80
_KNOWN = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})


class Violation(Exception):
    """The client broke the protocol; `code` is the close code that says how."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class FrameReader:
    """Turns the bytes of one client into messages, and keeps what is not complete yet.

    After a violation nothing more is read; `violation` holds its close code.
    """

    __slots__ = ("_held", "_is_text", "_limit", "_needed", "_parts", "_size", "violation")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: bytearray | None = None
        self._needed = 2
        self._parts: list[bytes] | None = None
        self._is_text, self._size = False, 0
        self.violation = 0

    def only(self, data: bytes) -> str | None:
        """The text of `data` if that is one short message, as most often; None says that `feed` must look."""
        size = len(data) - 6
        is_one = 0 <= size <= _LONGEST_CONTROL and data[0] == _WHOLE_TEXT and data[1] == _MASKED | size
        if not is_one or self._held is not None or self._parts is not None or self.violation:
            return None
        try:
            return _unmask(data[2:6], data[6:]).decode()
        except UnicodeDecodeError:
            return None

    def feed(self, data: bytes) -> list[Message]:
        """Read on; the messages that are complete now."""
        if self._held is not None:
            self._held += data
            if len(self._held) < self._needed:
                return []
            data, self._held = bytes(self._held), None
        messages: list[Message] = []
        position = 0
        try:
            while (
                after := self._read_short(data, position, messages)
                or self._read_frame(data, position, messages)
            ) > position:
                position = after
        except Violation as violation:
            self.violation = violation.code
            return messages
        if position < len(data):
            self._held = bytearray(data[position:])
        return messages

    def _read_short(self, data: bytes, start: int, messages: list[Message]) -> int:
        """Read the whole, short text at `start` and return where it ends; 0 when there is something else."""
        if len(data) < start + 6 or data[start] != _WHOLE_TEXT or self._parts is not None:
            return 0
        size, body = data[start + 1] ^ _MASKED, start + 6
        if size > _LONGEST_CONTROL or len(data) < body + size:
            return 0
        messages.append(_message(True, _unmask(data[start + 2 : body], data[body : body + size])))
        return body + size

    def _read_frame(self, data: bytes, start: int, messages: list[Message]) -> int:
        """Read the frame at `start` and return where it ends, or `start` when it is not complete."""
        there = len(data) - start
        if there < 2:
            self._needed = 2
            return start
        first, second = data[start], data[start + 1]
        opcode, size, body = first & 0x0F, second & 0x7F, start + 6
        if first & 0x70 or not second & 0x80 or opcode not in _KNOWN:
            raise Violation(PROTOCOL_ERROR)
        if opcode & 0x8:
            if size > _LONGEST_CONTROL or not first & 0x80:
                raise Violation(PROTOCOL_ERROR)
        elif size > _LONGEST_CONTROL:
            extra = 2 if size == 126 else 8
            if there < 2 + extra:
                self._needed = 2 + extra
                return start
            size, body = _long_size(data[start + 2 : start + 2 + extra]), body + extra
        self._check_order(opcode, size)
        end = body + size
        if len(data) < end:
            self._needed = end - start
            return start
        payload = _unmask(data[body - 4 : body], data[body:end])
        if opcode & 0x8:
            messages.append((opcode, payload))
        elif opcode and first & 0x80:
            messages.append(_message(opcode == TEXT, payload))
        else:
            self._take_part(opcode, payload, bool(first & 0x80), messages)
        return end

    def _check_order(self, opcode: int, size: int) -> None:
        """A message is whole or goes on; nothing but control frames comes between its fragments."""
        if opcode & 0x8:
            return
        if (self._parts is not None) != (opcode == CONTINUATION):
            raise Violation(PROTOCOL_ERROR)
        if self._size + size > self._limit:
            raise Violation(TOO_LARGE)

    def _take_part(self, opcode: int, payload: bytes, is_last: bool, messages: list[Message]) -> None:
        if self._parts is None:
            self._parts, self._is_text, self._size = [], opcode == TEXT, 0
        if payload:  # empty fragments are legal, and an endless row of them must cost nothing
            self._parts.append(payload)
        self._size += len(payload)
        if is_last:
            whole, self._parts, self._size = b"".join(self._parts), None, 0
            messages.append(_message(self._is_text, whole))


def _long_size(field: bytes) -> int:
    size = int.from_bytes(field, "big")
    shortest = 126 if len(field) == 2 else 65_536
    if size < shortest or size >> 63:
        raise Violation(PROTOCOL_ERROR)
    return size


def _message(is_text: bool, payload: bytes) -> Message:
    if not is_text:
        return BINARY, payload
    try:
        return TEXT, payload.decode()
    except UnicodeDecodeError:
        raise Violation(INVALID_TEXT) from None


def _unmask(mask: bytes, payload: bytes) -> bytes:
    """XOR with the mask, repeated; as whole numbers that is one step."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def close_code(payload: bytes) -> int:
    """The code of a close frame's payload (1005 when it has none); raises `Violation` for a wrong one."""
    if not payload:
        return NO_STATUS
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or code not in _CLOSE_CODES:
        raise Violation(PROTOCOL_ERROR)
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise Violation(INVALID_TEXT) from None
    return code


def control_frame(opcode: int, payload: bytes = b"") -> bytes:
    """An unmasked control frame of at most 125 bytes of payload."""
    return bytes((0x80 | opcode, len(payload))) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; a long reason is cut. Without a status there is no payload."""
    if code == NO_STATUS:
        return control_frame(CLOSE)
    words = reason.encode()[: _LONGEST_CONTROL - 2].decode(errors="ignore").encode()
    return control_frame(CLOSE, code.to_bytes(2, "big") + words)
