"""Streams of schedules already run, by the beginning of the schedule that led to them."""

from __future__ import annotations

from collections import OrderedDict

from tokenprune.executor._stream import Stream

Schedule = tuple[float, ...]
ROOM = 2**30  # bytes of hidden states


class Prefixes:
    """What a search keeps of the schedules it has run, so that the next one starts where it first differs.

    The latest schedule is kept block by block. Of earlier ones, as many as fit in memory, the first half of the
    blocks: children rarely agree with anything beyond it, and twice as many schedules fit. Those used least
    recently go first.

    Args:
        start: before block 0.
        blocks: N.
        memory: bytes of hidden states; the latest schedule is kept whatever it takes.
    """

    def __init__(self, start: Stream, blocks: int, memory: int = ROOM) -> None:
        self.start, self.blocks = start, blocks
        self.most = max(blocks, memory // max(1, start.x.numel() * start.x.element_size()))
        self.held: OrderedDict[Schedule, Stream] = OrderedDict()

    def longest(self, schedule: Schedule) -> tuple[int, Stream]:
        """How many first blocks of this schedule have been run, and the stream after them: a twin, to continue with."""
        for length in range(self.blocks - 1, 0, -1):
            if schedule[:length] in self.held:
                return length, self.held[schedule[:length]].snapshot()
        return 0, self.start.snapshot()

    def note(self, schedule: Schedule, streams: list[Stream]) -> None:
        """Keep what the last `len(streams)` blocks of this schedule, now the latest, gave."""
        first = self.blocks - len(streams)
        self.held |= {schedule[:length]: stream for length, stream in enumerate(streams[:-1], first + 1)}
        for one in [one for one in self.held if len(one) > self.blocks // 2 and one != schedule[: len(one)]]:
            del self.held[one]
        for length in range(self.blocks - 1, 0, -1):  # the first blocks last: they are the likeliest to be asked for
            self.held.move_to_end(schedule[:length])
        while len(self.held) > self.most:
            self.held.popitem(last=False)
