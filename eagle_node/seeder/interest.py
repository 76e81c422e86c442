"""What a peer wants of a blob that is arriving here, for as long as it listens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.arrival import Arrival
from eagle_node.blobs.demand import demand_for
from eagle_node.blobs.segments import Layout


@contextmanager
def interest(arrival: Arrival, indices: Iterable[int]) -> Iterator[None]:
    """Have the segments ``indices`` brought, as a reader of theirs would.

    Even without any it keeps the arrival from being suspended: its segments stay on offer to the
    peer that downloads them. Numbers that the layout has not got are passed over.
    """
    wanted = {object(): demand_for(run) for run in runs(arrival.layout, indices)}
    arrival.readers += 1
    arrival.demand.update(wanted)
    arrival.woke()
    try:
        yield
    finally:
        arrival.readers -= 1
        for key in wanted:
            del arrival.demand[key]
        arrival.woke()


def runs(layout: Layout, indices: Iterable[int]) -> list[ByteRange]:
    """The bytes of segments, neighbours joined."""
    found: list[ByteRange] = []
    for index in sorted(set(indices)):
        if not 0 <= index < len(layout.segments):
            continue
        segment = layout.segments[index]
        if found and found[-1].stop == segment.start:
            found[-1] = ByteRange(found[-1].start, segment.stop)
        else:
            found.append(ByteRange(segment.start, segment.stop))
    return found
