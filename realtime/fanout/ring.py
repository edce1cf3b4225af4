"""Many sends by one system call: io_uring(7), as far as broadcasts need it.

Entering the kernel is a good part of what a small send costs. Here a list of sends is written into memory
that the kernel shares, and one call does them all: no send waits (`MSG_DONTWAIT`), so all are done when it
returns. Kernels before 5.18 and most containers do not offer this; nothing but speed depends on it.
"""

import ctypes
import errno
import mmap
import os
import socket as sockets
import struct
from array import array
from collections.abc import Sequence

ENTRIES = 1024
"""Sends in one call."""
LONGEST = 131_072
"""Bytes that are sent by a ring at most."""

_SETUP, _ENTER = 425, 426  # the same numbers on all architectures
_SUBMIT_ALL = 1 << 7  # one send that fails does not keep the others back
_SINGLE_MMAP = 1 << 0
_SUBMISSIONS_AT = 0x10000000
_POPULATE = 0x8000
_OP_SEND = 26
_FLAGS = sockets.MSG_DONTWAIT | sockets.MSG_NOSIGNAL
_SUBMISSION = struct.Struct("=BBHiQQIIQHHiQQ")
_COMPLETION_BYTES = 16
_WRAP = 0xFFFFFFFF


class NoRing(Exception):
    """This system has no rings for us."""


class Ring:
    """One ring of this process, for one thread. `is_broken` once the kernel did not do what it was told."""

    def __init__(self, entries: int = ENTRIES) -> None:
        self.is_broken = False
        self._libc = ctypes.CDLL(None, use_errno=True)
        params = (ctypes.c_uint32 * 30)()
        params[2] = _SUBMIT_ALL
        self._descriptor = self._libc.syscall(_SETUP, entries, params)
        if self._descriptor < 0:
            raise NoRing(os.strerror(ctypes.get_errno()))
        if not params[5] & _SINGLE_MMAP:
            raise NoRing("this kernel is too old")
        self._entries = params[0]
        self._share(params[0], params[1], list(params[10:20]), list(params[20:30]))

    def _share(self, entries: int, completions: int, sent: list[int], done: list[int]) -> None:
        """Map what we share with the kernel; `sent` and `done` are where its two queues have their parts."""
        self._results_at = done[5]
        size = max(sent[6] + 4 * entries, done[5] + completions * _COMPLETION_BYTES)
        flags = mmap.MAP_SHARED | _POPULATE
        shared = memoryview(mmap.mmap(self._descriptor, size, flags=flags)).cast("B")
        self._words = shared[: size // 4 * 4].cast("I")
        self._sent_head, self._sent_tail, self._sent_mask = (
            sent[0] // 4,
            sent[1] // 4,
            self._words[sent[2] // 4],
        )
        self._done_head, self._done_tail, self._done_mask = (
            done[0] // 4,
            done[1] // 4,
            self._words[done[2] // 4],
        )
        answers = shared[done[5] : done[5] + completions * _COMPLETION_BYTES]
        self._done_slots, self._done_results = answers.cast("Q")[::2], answers.cast("i")[2::4]
        self._words[sent[6] // 4 : sent[6] // 4 + entries] = array("I", range(entries))
        self._frame = ctypes.create_string_buffer(LONGEST)
        self._frame_size = 0
        sends = memoryview(
            mmap.mmap(self._descriptor, entries * _SUBMISSION.size, flags=flags, offset=_SUBMISSIONS_AT)
        )
        sends[:] = b"".join(self._blank(slot) for slot in range(entries))
        words = sends.cast("i")
        self._descriptors, self._sizes = words[1::16], words[6::16]

    def _blank(self, slot: int) -> bytes:
        """The send of a slot, without its socket and the size of what it sends."""
        address = ctypes.addressof(self._frame)
        return _SUBMISSION.pack(_OP_SEND, 0, 0, -1, 0, address, 0, _FLAGS, slot, 0, 0, 0, 0, 0)

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            os.close(self._descriptor)

    def send_all(self, targets: Sequence[sockets.socket], frame: bytes) -> list[int]:
        """Send `frame` to each socket: the bytes it took (0: it is full), or -1 if it is broken or closed."""
        size = len(frame)
        if size != self._frame_size:
            self._sizes[:] = array("i", (size,)) * self._entries
            self._frame_size = size
        ctypes.memmove(self._frame, frame, size)
        taken: list[int] = []
        while len(taken) < len(targets) and not self.is_broken:
            taken += self._send(targets[len(taken) : len(taken) + self._entries])
        return taken

    def _send(self, targets: Sequence[sockets.socket]) -> list[int]:
        """Send to so many at once; less is answered when the kernel did not begin with all of them."""
        count, tail = len(targets), self._words[self._sent_tail]
        first = tail & self._sent_mask
        descriptors = memoryview(array("i", map(sockets.socket.fileno, targets)))
        before_end = min(count, self._entries - first)
        self._descriptors[first : first + before_end] = descriptors[:before_end]
        self._descriptors[: count - before_end] = descriptors[before_end:]
        self._words[self._sent_tail] = (tail + count) & _WRAP
        self._libc.syscall(_ENTER, self._descriptor, count, 0, 0, None, 0)
        head = self._words[self._sent_head]
        self._words[self._sent_tail] = head  # what it has not begun with is taken back
        return self._answers(first, (head - tail) & _WRAP)

    def _answers(self, first: int, count: int) -> list[int]:
        """What became of `count` sends from slot `first` on."""
        head, tail = self._words[self._done_head], self._words[self._done_tail]
        results = self._between(self._done_results, head, tail)
        self.is_broken = len(results) != count or not count
        if results.count(self._frame_size) != count:
            results = self._in_order(first, count, self._between(self._done_slots, head, tail), results)
        self._words[self._done_head] = tail
        return results

    def _in_order(self, first: int, count: int, slots: list[int], results: list[int]) -> list[int]:
        taken = [-1] * count
        for slot, result in zip(slots, results, strict=True):
            place = (slot - first) & self._sent_mask
            if place < count:
                taken[place] = 0 if result == -errno.EAGAIN else max(result, -1)
        return taken

    def _between(self, queue: memoryview, head: int, tail: int) -> list[int]:
        start = head & self._done_mask
        end = start + ((tail - head) & _WRAP)
        found: list[int] = queue[start:end].tolist()
        return found + queue[: end - len(queue)].tolist() if end > len(queue) else found
