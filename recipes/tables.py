"""Renew the measured tables in README and docs: `python recipes/tables.py [--datasets FOLDER]`.

Each table stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`; its text is what the named script prints, or is made from a
result that a benchmark saved.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def printed(*command: str | Path) -> str:
    """What a script of the repository prints."""
    arguments = [sys.executable, *map(str, command)]
    return subprocess.run(arguments, check=True, cwd=ROOT, capture_output=True, text=True).stdout.strip("\n")


def put(page: str, name: str, text: str) -> None:
    path = ROOT / page
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    path.write_text(pattern.sub(lambda _: f"{begin}\n{text}\n{end}", path.read_text()))


def speed_table() -> str:
    result = saved("training_speed")
    machine = result["machine"]
    rows = [
        f"{result['what'].split(', ')[0]}, one core of an {machine['processor']} processor, PyTorch {machine['torch']}, "
        "milliseconds per update ([results](../benchmarks/results/training_speed.json)):",
        "",
        "| network | plain eager loop | our bare step | `train`, all of it | samples per second | to eager | to the bare step |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, each in result["results"].items():
        ms = each["milliseconds"]
        rows.append(
            f"| `{name}` | {ms['eager']} | {ms['bare']} | {ms['train']} | {each['samples_per_second']['train']:,} | "
            f"{each['train_to_eager']}× | {each['train_to_bare']:.0%} |"
        )
    return "\n".join(rows)


def saved(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
    return loaded


def precision_table() -> str:
    rows = ["| | exact | fast | loss | bfloat16, loss |", "|---|---|---|---|---|"]
    for name, psnr in saved("precision").items():
        exact, fast, bfloat16 = psnr["exact"], psnr["fast"], psnr["bfloat16"]
        rows.append(f"| `{name}` | {exact:.3f} | {fast:.3f} | {exact - fast:.4f} | {exact - bfloat16:.3f} |")
    return "\n".join(rows)


def stage_table() -> str:
    result = saved("stages")
    rows = [
        f"{result['what']}, an {result['machine']['processor']} processor; milliseconds. Floors: the multiply-adds of the "
        "paper, and the products really taken, at the measured peak of the registers "
        "([results](../benchmarks/results/stages.json)):",
        "",
        "| stage | exact: floor | of the products | measured | fast: floor | of the products | measured |",
        "|---|---|---|---|---|---|---|",
    ]
    exact, fast = (result[precision]["stages"] for precision in ("exact", "fast"))
    keys = ("floor", "floor_of_products", "measured")
    for stage in exact:
        cells = [f"{each[stage][key]:.0f}" for each in (exact, fast) for key in keys]
        rows.append(f"| {stage} | " + " | ".join(cells) + " |")
    cells = [f"{sum(stage[key] for stage in each.values()):.0f}" for each in (exact, fast) for key in keys]
    rows.append("| together | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def engines_table() -> str:
    result = saved("engines")
    columns = [(model, threads) for model, by in result["milliseconds"].items() for threads in by]
    names = dict.fromkeys(name for model, threads in columns for name in result["milliseconds"][model][threads])
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items() if name != "onnx")
    rows = [
        f"{result['what']}, an {result['machine']['processor']} processor ({versions}); median milliseconds "
        "([results](../benchmarks/results/engines.json)):",
        "",
        "| | " + " | ".join(f"`{model}`, {threads}" for model, threads in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in names:
        cells = [result["milliseconds"][model][threads].get(name) for model, threads in columns]
        rows.append(
            f"| {name} | " + " | ".join("–" if cell is None else f"{cell['median']:.0f}" for cell in cells) + " |"
        )
    return "\n".join(rows)


def photo_table() -> str:
    result = saved("photo_to_4k")
    rows = [
        "`make bench`: the whole command on a 1920×1080 photo to a 3840×2160 PNG, start-up included, "
        f"{result['threads']} threads of an {result['processor']} processor, medians of {result['runs']} runs in turn, seconds "
        "([results](benchmarks/results/photo_to_4k.json)):",
        "",
        "| | whole command | start-up | decode | upscale | encode |",
        "|---|---|---|---|---|---|",
    ]
    for name, parts in result["seconds"].items():
        cells = [f"{parts[key]:.2f}" if key in parts else "" for key in ("start-up", "decode", "upscale", "encode")]
        rows.append(f"| {name} | **{parts['whole']:.2f}** | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, help="without it only the tables from saved benchmarks are renewed")
    datasets = parser.parse_args().datasets
    put_benchmarks()
    if datasets:
        put_quality(datasets.resolve())


def put_benchmarks() -> None:
    put("docs/train-your-own.md", "speed table", speed_table())
    put("docs/native-engine.md", "precision table", precision_table())
    put("docs/native-engine.md", "stages", stage_table())
    put("docs/native-engine.md", "engines", engines_table())
    put("README.md", "photo table", photo_table())


def put_quality(datasets: Path) -> None:
    quality = ("recipes/quality_table.py", "--datasets", datasets)
    put("README.md", "quality table", printed(*quality))
    put("docs/reproduce-the-paper.md", "quality table", printed(*quality, "--full"))
    put("docs/mistakes.md", "mistakes", f"```\n{printed('examples/mistakes.py', datasets / 'Set5')}\n```")


if __name__ == "__main__":
    main()
