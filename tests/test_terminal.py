"""What a person and a program see of long work: the pace, and reports of any length."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from fsrcnn.cli.terminal import MINUTE, Pace, Spool, print_json


def test_the_pace_is_said_once_a_minute_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that were done before are no speed of ours, but part of the whole."""
    total: list[int | None] = [None]
    times = [0.0]
    pace = Pace(lambda: total[0], lambda: times[0])
    pace.step(0)
    times[0] = MINUTE - 1
    pace.step(100, 500)
    assert capsys.readouterr().err == ""
    times[0] = MINUTE
    pace.step(120, 1000)
    assert capsys.readouterr().err == "fsrcnn: 1,120 pictures are done, 2.0 a second\n"
    assert (pace.part, pace.count()) == (0.0, "1,120")
    times[0] = MINUTE + 59
    pace.step(230, 1000)
    assert capsys.readouterr().err == ""
    total[0] = 9_640
    times[0] = 2 * MINUTE
    pace.step(240, 1000)
    assert capsys.readouterr().err == "fsrcnn: 1,240 of 9,640 pictures are done, 2.0 a second, about 1:10:00 left\n"
    assert (pace.part, pace.count(), pace.rate) == (1240 / 9640, "1,240 of 9,640", 2.0)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_report_of_any_length_has_the_text_of_one_in_memory(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    items = [
        {"name": f"é\udce9{number}", "size": [1, 2], "none": None, "empty": [], "psnr": float("inf")}
        for number in range(count)
    ]
    print_json({"done": items, "failed": [], "others": 7})
    expected = capsys.readouterr().out
    with closing(Spool()) as done, closing(Spool()) as failed:
        for item in items:
            done.append(item)
        print_json({"done": done, "failed": failed, "others": 7})
    assert capsys.readouterr().out == expected
    assert len(json.loads(expected)["done"]) == count
