"""Threads and memory of this machine, work shared out to threads, and the `Control` by which a long call is watched and stopped."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import Any, Generic, TypeVar

from fsrcnn.arguments import whole_number
from fsrcnn.errors import Cancelled, FsrcnnError

Item = TypeVar("Item")


class Control:
    """How a long call is watched and stopped, from whichever thread.

        control = Control(threads=2, progress=print)
        threading.Timer(1.0, control.cancel).start()
        engine.planes(lr, sr, control)  # raises Cancelled after a second, if it still runs then

    Attributes:
        threads: that the call may use.
        done: the part done, 0 … 1, for whoever looks from another thread.
    """

    def __init__(self, threads: int | None = None, progress: Callable[[float], None] | None = None) -> None:
        """
        Args:
            threads: at least 1; all that this process may use where it is not given.
            progress: called with the part done, 0 … 1, in the thread that called; what it raises ends the call.

        Raises:
            UsageError: threads is not a whole number of at least 1.
        """
        self.threads = available_threads() if threads is None else whole_number(threads, "threads")
        self.done = 0.0
        self._progress = progress
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop the call soon; it raises `Cancelled`."""
        self._cancelled.set()

    def cancelled(self) -> bool:
        """Whether somebody wants the call to stop."""
        return self._cancelled.is_set()

    def report(self, done: float) -> None:
        """For those who do the work, in the thread that called: what is done so far.

        Raises:
            Cancelled: the call is to stop.
        """
        self.done = done
        if self._progress is not None:
            self._progress(done)
        if self.cancelled():
            raise Cancelled("stopped before it was finished")

    def part(self, number: int, count: int) -> Control:
        """The control of step `number` (from 0) of `count` equal ones: it reports into this one and is cancelled with it."""
        step = Control(self.threads, lambda done: self.report((number + done) / count))
        step._cancelled = self._cancelled
        return step


def run_all(work: Callable[[Item], None], items: Sequence[Item], control: Control) -> None:
    """Do the work for each item, in the calling thread and others up to the control's number.

    The others stay for the next call: a film's frames start no threads. What is raised first (Ctrl-C included) drops the items that
    have not begun, and is raised here once those that have are finished.

    Raises:
        Cancelled: through the control.
    """
    # Each item is one thread's; a BLAS with threads of its own would only fight over the cores.
    with single_threaded_blas():
        queue = _Queue(work, items)
        others = [_pool().submit(queue.drain) for _ in range(min(control.threads, len(items)) - 1)]
        try:
            queue.drain(lambda: control.report(queue.finished / len(items)))
            for other in others:
                other.cancel()  # it has not begun, and there is nothing left for it
            while wait(others, timeout=0.1).not_done:
                control.report(queue.finished / len(items))
            for other in others:
                if not other.cancelled():
                    other.result()
            if others:
                control.report(1.0)
        except BaseException:
            queue.stop()
            wait(others)
            raise


def ahead(items: Iterator[Item], depth: int) -> Generator[Item]:
    """The same items, made in a thread of their own, at most `depth` of them before they are asked for.

    What is raised there is raised here, in its place. Whoever stops early closes this, which stops the thread and closes `items`.
    """
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(depth)
    stopped = threading.Event()

    def put(good: bool, item: Any) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                ready.put((good, item), timeout=0.1)
                return

    def work() -> None:
        try:
            for item in items:
                put(True, item)
                if stopped.is_set():
                    break
            put(False, None)
        except BaseException as error:
            put(False, error)
        finally:
            if hasattr(items, "close"):
                items.close()

    thread = threading.Thread(target=work, name="fsrcnn ahead", daemon=True)
    thread.start()
    try:
        while True:
            good, item = ready.get()
            if good:
                yield item
            elif item is None:
                return
            else:
                raise item
    finally:
        stopped.set()
        thread.join()


class _Queue(Generic[Item]):
    """Items for several threads, each taken once."""

    def __init__(self, work: Callable[[Item], None], items: Sequence[Item]) -> None:
        self.work, self.items = work, items
        self.lock = threading.Lock()
        self.begun = self.finished = 0

    def stop(self) -> None:
        """Nothing more is begun."""
        with self.lock:
            self.begun = len(self.items)

    def drain(self, report: Callable[[], None] = lambda: None) -> None:
        """Work until nothing is left; `report` is called after each item."""
        while True:
            with self.lock:
                number = self.begun
                if number >= len(self.items):
                    return
                self.begun += 1
            try:
                self.work(self.items[number])
            except BaseException:
                self.stop()
                raise
            with self.lock:
                self.finished += 1
            report()


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads for `run_all`, started when first needed, kept as long as the process."""
    return ThreadPoolExecutor(256, "fsrcnn")


def _after_fork() -> None:
    """A child has none of its parent's threads, and perhaps a lock that one of them held."""
    global _blas_lock, _blas_users
    _pool.cache_clear()
    _blas_lock, _blas_users = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Owner:
    """The process that uses a library with threads of its own: a fork does not copy them, and a child would wait for them for ever."""

    def __init__(self, library: str) -> None:
        self.library = library
        self.process: int | None = None

    def check(self) -> None:
        """Before each use.

        Raises:
            FsrcnnError: this process was forked from one that had used the library.
        """
        process = os.getpid()
        if self.process is None:
            self.process = process
        elif self.process != process:
            raise FsrcnnError(
                f"{self.library} was used before this process was forked, and its threads are not here",
                "start processes with multiprocessing.get_context('spawn'), or before the first use",
            )


_blas_lock = threading.Lock()
_blas_users = 0
_blas_limit: Any = None


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """One thread for each call of BLAS; the setting is the whole process's, so the first user makes it and the last one ends it."""
    global _blas_users, _blas_limit
    from threadpoolctl import threadpool_limits

    with _blas_lock:
        if _blas_users == 0:
            _blas_limit = threadpool_limits(1, user_api="blas")
        _blas_users += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users -= 1
            if _blas_users == 0:
                _blas_limit.restore_original_limits()


def available_threads() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def physical_memory() -> int | None:
    """Bytes of memory in this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
