"""Work shared out to threads: each item once, the first exception ends it, threads stay, a forked child has its own."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsrcnn import Cancelled, Control
from fsrcnn.parallel import ahead, run_all


@given(st.integers(0, 50), st.integers(1, 8))
def test_each_item_once(count: int, threads: int) -> None:
    done: list[int] = []
    run_all(done.append, range(count), Control(threads))
    assert sorted(done) == list(range(count))


def test_several_threads_take_part_and_stay() -> None:
    def meet(item: int) -> None:
        meeting.wait(20)
        seen.add(threading.get_ident())

    def work(item: int) -> None:
        time.sleep(0.002)

    meeting = threading.Barrier(3)  # broken unless three threads are there at once
    seen: set[int] = set()
    run_all(meet, range(3), Control(3))
    assert len(seen) == 3
    before = threading.active_count()
    for _ in range(20):
        run_all(work, range(6), Control(3))
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 4])
def test_the_first_exception_drops_what_has_not_begun(threads: int) -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 5:
            raise ValueError("the fifth")
        time.sleep(0.001)
        done.append(item)

    with pytest.raises(ValueError, match="the fifth"):
        run_all(work, range(1000), Control(threads))
    time.sleep(0.05)
    assert len(done) < 50  # and nothing goes on behind our back


def test_cancelling_stops_it_within_an_item() -> None:
    control = Control(2)
    done: list[int] = []

    def work(item: int) -> None:
        done.append(item)
        if item == 7:
            control.cancel()
        time.sleep(0.005)

    with pytest.raises(Cancelled):
        run_all(work, range(1000), control)
    assert 8 <= len(done) < 20


def test_work_may_share_out_work() -> None:
    """More callers than threads, each waiting for threads: nobody waits for ever."""
    totals: list[int] = []

    def outer(item: int) -> None:
        inner: list[int] = []
        run_all(inner.append, range(10), Control(4))
        totals.append(len(inner))

    run_all(outer, range(300), Control(300))
    assert totals == [10] * 300


def _in_a_child(results: multiprocessing.SimpleQueue[int]) -> None:
    done: list[int] = []
    run_all(done.append, range(100), Control(4))
    results.put(len(done))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_a_forked_child_has_threads_of_its_own() -> None:
    run_all(lambda item: time.sleep(0.001), range(20), Control(4))
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_in_a_child, args=(results,))
    child.start()
    child.join(30)
    assert not child.is_alive()
    assert results.get() == 100


# -- ahead


def test_items_made_ahead_are_the_same() -> None:
    assert list(ahead(iter(range(100)), 3)) == list(range(100))
    assert list(ahead(iter(()), 1)) == []


def test_what_is_raised_ahead_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("three")

    made = ahead(items(), 5)
    assert [next(made), next(made)] == [1, 2]
    with pytest.raises(KeyError, match="three"):
        next(made)


def test_no_more_is_made_than_was_asked_for() -> None:
    """With a depth of 2: two wait, and a third is in the maker's hand."""
    begun: list[int] = []
    fourth = threading.Event()

    def items() -> Iterator[int]:
        for number in range(10):
            begun.append(number)
            if number == 3:
                fourth.set()
            yield number

    made = ahead(items(), 2)
    assert next(made) == 0
    assert fourth.wait(10)
    time.sleep(0.1)
    assert begun == [0, 1, 2, 3]
    assert list(made) == list(range(1, 10))


def test_closed_early_it_closes_its_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    made = ahead(items(), 2)
    next(made)
    made.close()
    assert closed.is_set()
    assert threading.active_count() == before
