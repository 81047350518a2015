"""Renew the measured tables in README and docs: `python recipes/tables.py --datasets FOLDER`.

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
    saved = json.loads((ROOT / "benchmarks" / "results" / "training_speed.json").read_text())
    machine = saved["machine"]
    rows = [
        f"{saved['what'].split(', ')[0]}, one core of an {machine['processor']} processor, PyTorch {machine['torch']}, "
        "milliseconds per update ([results](../benchmarks/results/training_speed.json)):",
        "",
        "| network | plain eager loop | our bare step | `train`, all of it | samples per second | to eager | to the bare step |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, result in saved["results"].items():
        ms = result["milliseconds"]
        rows.append(
            f"| `{name}` | {ms['eager']} | {ms['bare']} | {ms['train']} | {result['samples_per_second']['train']:,} | "
            f"{result['train_to_eager']}× | {result['train_to_bare']:.0%} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True)
    datasets = parser.parse_args().datasets.resolve()
    quality = ("recipes/quality_table.py", "--datasets", datasets)
    put("README.md", "quality table", printed(*quality))
    put("docs/reproduce-the-paper.md", "quality table", printed(*quality, "--full"))
    put("docs/train-your-own.md", "speed table", speed_table())
    put("docs/mistakes.md", "mistakes", f"```\n{printed('examples/mistakes.py', datasets / 'Set5')}\n```")


if __name__ == "__main__":
    main()
