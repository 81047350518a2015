"""The model of an archive's costs, against figures worked out by hand."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import pytest

archive = pytest.importorskip(
    "archive", reason="benchmarks/engines.py needs PyTorch and onnx: pip install 'fsrcnn[train,onnx]'"
)

COST = archive.Cost(cpu_seconds=0.5, bytes_in=200_000, bytes_out=1_000_000)
ASSUMED = archive.Assumed()


def test_the_cores_bind_on_one_machine() -> None:
    """A million pictures of 0.5 s on 16 cores: 32 a second, 31,250 s. 1,000 pages of 0.1 s, twice listed."""
    found = archive.modelled(COST, 10**6, 1, 16, ASSUMED)
    assert (found["binds_first"], found["pictures_per_second"], found["drivers"]) == ("cores", 32, 1)
    assert found["hours"] == found["machine_hours"] == found["hours_with_drivers"] == pytest.approx(31_250 / 3600)
    assert (found["bytes_in"], found["bytes_out"], found["log_bytes"]) == (2e11, 1e12, 5e8)
    assert found["listing_seconds"] == 100
    assert found["requests"] == {"get": 2_000_000, "put": 1_000_000, "list": 2000}
    assert found["price_of_cores"] == pytest.approx(31_250 / 3600 * 16 * 0.04)  # 5.56
    assert found["price_of_requests"] == pytest.approx(0.8 + 5 + 0.01)
    assert found["price_of_a_month"] == pytest.approx(23)


def test_a_prefix_binds_on_many_machines() -> None:
    """1,024 machines do 32,768 pictures a second; a prefix lets 3,500 be written: 10 drivers."""
    found = archive.modelled(COST, 10**9, 1024, 16_384, ASSUMED)
    assert found["binds_first"] == "writing to a prefix"
    assert found["pictures_per_second"] == 3500
    assert found["hours"] == pytest.approx(10**9 / 3500 / 3600)  # 79.4
    assert found["machine_hours"] == pytest.approx(1024 * found["hours"])
    assert found["drivers"] == 10
    assert found["hours_with_drivers"] == pytest.approx(10**9 / 32_768 / 3600)
    assert found["listing_seconds"] == 100_000


@pytest.mark.parametrize(
    ("changes", "machines", "cores", "binding", "rate", "drivers"),
    [
        ({"driver_rate": 500}, 64, 1024, "driver", 500, 5),  # 2,048 ÷ 500 = 4.1
        ({"page_seconds": 2.0}, 64, 1024, "listing", 500, 5),
        ({"prefix_gets": 400, "heads": 2}, 64, 1024, "reading from a prefix", 200, 11),  # 2,048 ÷ 200 = 10.2
        ({"prefix_puts": 100}, 64, 1024, "writing to a prefix", 100, 21),
        ({"network_gbit": 0.1}, 1, 64, "network", 12.5, 1),  # 12.5 MB/s and 1 MB each; no driver helps
        ({"driver_rate": 5000}, 1, 16, "cores", 32, 1),
    ],
)
def test_each_limit_can_bind(
    changes: dict[str, Any], machines: int, cores: int, binding: str, rate: float, drivers: int
) -> None:
    found = archive.modelled(COST, 10**6, machines, cores, replace(ASSUMED, **changes))
    assert (found["binds_first"], found["pictures_per_second"], found["drivers"]) == (binding, rate, drivers)


def test_from_how_many_cores_a_limit_binds() -> None:
    found = archive.binding_cores(COST, replace(ASSUMED, driver_rate=500))
    assert {name: row["cores"] for name, row in found.items()} == {
        "listing": 5000, "reading from a prefix": 2750, "writing to a prefix": 1750, "network": 625, "driver": 250,
    }  # fmt: skip


def test_costs_grow_with_pixels_and_pages_are_whole() -> None:
    assert COST.of(12) == archive.Cost(6.0, 2_400_000, 12_000_000)
    assert [archive.pages(keys, ASSUMED) for keys in (0, 1, 1000, 1001, 2001)] == [0, 1, 1, 2, 3]


def test_what_is_measured_elsewhere_is_taken_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    import machine

    monkeypatch.setattr(archive, "RESULTS", tmp_path)
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    assert archive.measured_elsewhere() == {}
    cluster = {"results": {"driver": {"pictures_per_second": 800}, "cores": {"1": {"overhead_percent": 3.5}}}}
    (tmp_path / "cluster.json").write_text(json.dumps(cluster))
    (tmp_path / "listing.json").write_text(
        json.dumps({"results": {"store": {"jobs": 10**6, "memory_mb_at_most": "?"}}})
    )
    assert archive.measured_elsewhere() == {"driver_rate": 800, "overhead_percent": 3.5, "listed": 1e6}


def test_ones_own_numbers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """12 megapixels take 12 times as long on the same cores."""
    hours = []
    for megapixels in ("1", "12"):
        typed = ["archive.py", "--pictures", "1000000", "--megapixels", megapixels, "--cores", "32"]
        monkeypatch.setattr(sys, "argv", typed)
        archive.main()
        answer = json.loads(capsys.readouterr().out)
        assert (answer["machines"], answer["binds_first"]) == (2, "cores")
        hours.append(answer["hours"])
    assert hours[1] == pytest.approx(12 * hours[0])


def test_what_the_cluster_takes_beside_is_counted() -> None:
    way = {"cpu_seconds": 0.5, "bytes_in": 1, "bytes_out": 2}
    assert archive.cost_of(way, {}) == archive.Cost(0.5, 1, 2)
    assert archive.cost_of(way, {"overhead_percent": -1.0}) == archive.Cost(0.5, 1, 2)
    assert archive.cost_of(way, {"overhead_percent": 4.0}).cpu_seconds == pytest.approx(0.52)


def test_the_committed_model_is_that_of_the_committed_measurement() -> None:
    """Whenever a result that it hangs on has changed: python benchmarks/archive.py --remodel --save benchmarks/results/archive.json"""
    import machine

    results = machine.load("archive")["results"]
    elsewhere = archive.measured_elsewhere()
    assumed = archive.Assumed(driver_rate=elsewhere.get("driver_rate", 0))
    assert results == json.loads(json.dumps(archive.model(results["ways"], elsewhere, assumed)))
