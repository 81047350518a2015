"""Put a finished run into the package: `python recipes/bundle.py runs/fsrcnn-x3 --datasets FOLDER --trained-on "T91, then …"`.

Copies the run's `best.safetensors` (chosen on BSDS500-val20) to `src/fsrcnn/pretrained`, scores it on Set5, Set14 and BSD200 by both
protocols, enters scores and SHA-256 in `table.json`, and leaves the run's log and its curve in `recipes/NAME`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import shutil
from pathlib import Path

from fsrcnn import engines, weights
from fsrcnn.evaluation import PROTOCOLS, evaluate, mean
from fsrcnn.upscaler import available_threads

ROOT = Path(__file__).resolve().parent.parent
PRETRAINED = ROOT / "src" / "fsrcnn" / "pretrained"
TEST_SETS = ("Set5", "Set14", "BSD200")


def scores(path: Path, datasets: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """Set → protocol → (PSNR in dB, SSIM), rounded as they are quoted."""
    engine = engines.create(weights.load(path))
    results, failures = evaluate([datasets / name for name in TEST_SETS], engine, threads=available_threads())
    if failures:
        raise SystemExit("\n".join(failures))
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for name in TEST_SETS:
        for protocol in PROTOCOLS:
            average = mean([r.sr for r in results if (r.folder, r.protocol) == (name, protocol)])
            table.setdefault(name, {})[protocol] = (round(average.psnr, 3), round(average.ssim, 4))
    return table


def curve(log: Path, picture: Path, name: str) -> None:
    """Validation PSNR and training loss over the steps, as an SVG."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = name  # the same log gives the same bytes
    import matplotlib.pyplot as plt

    with log.open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    steps = [row["step"] / 1000 for row in rows]
    figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
    validation = [row["validation_db"] for row in rows]
    axis.plot(steps, validation, color="#1b6ca8", label="validation (BSDS500-val20)")
    axis.set_ylim(sorted(validation)[len(validation) // 20] - 0.05, max(validation) + 0.03)
    axis.set(xlabel="thousand updates", ylabel="PSNR, dB", title=f"{name}: best {max(validation):.3f} dB")
    axis.grid(alpha=0.3)
    losses = axis.twinx()
    losses.plot(steps, [row["loss_db"] for row in rows], color="#c0c0c0", zorder=0, label="training loss (right)")
    losses.set_ylim(sorted(row["loss_db"] for row in rows)[len(rows) // 10] - 0.5, None)
    losses.set_ylabel("training loss as PSNR, dB")
    axis.legend(handles=[*axis.lines, *losses.lines], loc="lower right")
    figure.savefig(picture, metadata={"Date": None})


def record_run(run: Path, record: Path) -> None:
    """Logs and curves of the first run (NAME-base) and of the finish."""
    for source, prefix, title in (
        (run.with_name(f"{run.name}-base"), "", run.name),
        (run, "finish_", f"{run.name}, finish"),
    ):
        shutil.copyfile(source / "log.csv", record / f"{prefix}log.csv")
        curve(record / f"{prefix}log.csv", record / f"{prefix}curve.svg", title)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run folder, named as the model: runs/fsrcnn-x3")
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--trained-on", required=True)
    arguments = parser.parse_args()
    name = arguments.run.name
    family, _, scale = name.rpartition("-x")
    source = arguments.run / "best.safetensors"
    row = {
        "family": family,
        "scale": int(scale),
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "trained_on": arguments.trained_on,
        "recipe": f"recipes/{name}",
        "scores": scores(source, arguments.datasets),
    }
    PRETRAINED.mkdir(exist_ok=True)
    shutil.copyfile(source, PRETRAINED / f"{name}.safetensors")
    table_file = PRETRAINED / "table.json"
    table = json.loads(table_file.read_text()) if table_file.exists() else {}
    table[name] = row
    table_file.write_text(json.dumps(dict(sorted(table.items())), indent=2) + "\n")
    record = ROOT / "recipes" / name
    record.mkdir(exist_ok=True)
    record_run(arguments.run, record)
    print(json.dumps({name: row}, indent=2))


if __name__ == "__main__":
    main()
