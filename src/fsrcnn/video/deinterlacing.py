"""Whole frames from interlaced ones, which hold two moments in alternate rows: by FFmpeg's `bwdif`, one for each, at its time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from fsrcnn.video.library import Frame, graph_for, pyav

if TYPE_CHECKING:
    from fsrcnn.video.source import Decoded


def deinterlaced(decoded: Iterator[Decoded], *, all_of_them: bool) -> Iterator[Decoded]:
    """Frames of one film, as many as come in, with their times.

    A frame is made from itself and its neighbours: those in front of a place where the film is taken up again must come in, too.

    Args:
        decoded: frames in the order in which they are shown.
        all_of_them: whether those, too, that do not say that they are interlaced.
    """
    waiting: deque[_Waiting] = deque()  # the filter holds a frame back until the next one is there
    graph: Any = None
    kind = None
    for item in decoded:
        frame = item.frame
        if kind != (kind := (frame.width, frame.height, frame.format.name)):
            if graph is not None:
                yield from _rest(graph, waiting)
            graph = _graph(frame, all_of_them)
        waiting.append(_Waiting(item, frame.pts, frame.time_base, frame.duration))
        graph.vpush(frame)
        yield from _ready(graph, waiting)
    if graph is not None:
        yield from _rest(graph, waiting)


class _Waiting(NamedTuple):
    """A frame within the filter, which changes its times."""

    decoded: Decoded
    pts: int
    time_base: Any
    duration: int


def _rest(graph: Any, waiting: deque[_Waiting]) -> Iterator[Decoded]:
    graph.vpush(None)
    yield from _ready(graph, waiting)


def _ready(graph: Any, waiting: deque[_Waiting]) -> Iterator[Decoded]:
    av = pyav()
    while waiting:
        try:
            whole: Frame = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        item = waiting.popleft()
        whole.pts, whole.time_base, whole.duration = item.pts, item.time_base, item.duration
        yield item.decoded._replace(frame=whole)


def _graph(frame: Frame, all_of_them: bool) -> Any:
    graph, buffer = graph_for(frame)
    which = "all" if all_of_them else "interlaced"
    graph.link_nodes(buffer, graph.add("bwdif", f"mode=send_frame:deint={which}"), graph.add("buffersink"))
    graph.configure()
    return graph
