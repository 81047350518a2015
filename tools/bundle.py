"""Put finished runs into the package: `python tools/bundle.py runs/fsrcnn-x3 runs/fsrcnn-x3.t91 … --datasets FOLDER`.

Copies each run's `best.safetensors` (chosen on BSDS500-val20) to `src/fsrcnn/pretrained`, scores it on Set5, Set14 and BSD200 by both
protocols, enters scores and SHA-256 in `table.json`, and leaves the logs and curves of the run and of those it went through
(`NAME.main`, `NAME.more`) in `recipes/runs`. Beside benchmarks and examples, this is the only place that reads a test set.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import shutil
from pathlib import Path

from fsrcnn import cli, engines, models, pretrained, weights
from fsrcnn.errors import UsageError
from fsrcnn.evaluation import evaluate, mean
from fsrcnn.parallel import available_threads
from fsrcnn.protocol import PROTOCOLS
from fsrcnn.training.record import curve

ROOT = Path(__file__).resolve().parent.parent
PRETRAINED = ROOT / "src" / "fsrcnn" / "pretrained"
RECORDS = ROOT / "recipes" / "runs"
TEST_SETS = ("Set5", "Set14", "BSD200")
ALL_SETS = "T91 + General-100 + Xiph50 + BSDS500-train"
TRAINED_ON = {"t91": "T91", "": f"T91, then {ALL_SETS}"}
NAME = re.compile(rf"(?P<family>{'|'.join(pretrained.FAMILIES)})-x(?P<scale>[234])(\.(?P<stage>t91))?")


def parts(run: Path) -> tuple[str, int, str]:
    """Family, scale and stage (`t91` or nothing) of the model that a run folder is named as.

    Raises:
        UsageError: it is named otherwise.
    """
    found = NAME.fullmatch(run.name)
    if found is None:
        raise UsageError(f"a run folder is named as its model, as fsrcnn-x3 or fsrcnn-x3.t91, not {run.name!r}")
    return found["family"], int(found["scale"]), found["stage"] or ""


def scores(path: Path, datasets: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """Set → protocol → (PSNR in dB, SSIM), rounded as they are quoted."""
    engine = engines.create(weights.load(path), threads=available_threads())
    results, failures = evaluate([datasets / name for name in TEST_SETS], engine)
    if failures:
        raise SystemExit("\n".join(map(str, failures)))
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for name in TEST_SETS:
        for protocol in PROTOCOLS:
            average = mean([r.sr for r in results if (r.folder, r.protocol) == (name, protocol)])
            table.setdefault(name, {})[protocol] = (round(average.psnr, 3), round(average.ssim, 4))
    return table


def mean_psnr(path: Path, pictures: Path) -> float:
    """In dB, by the protocol `paper`."""
    results, failures = evaluate([pictures], engines.create(weights.load(path)), protocols=PROTOCOLS[:1])
    if failures:
        raise SystemExit("\n".join(map(str, failures)))
    return round(mean([result.sr for result in results]).psnr, 4)


def record(run: Path) -> float:
    """Log, configuration and curve into the repository; returns the best validation PSNR in dB."""
    RECORDS.mkdir(exist_ok=True)
    shutil.copyfile(run / "log.csv", RECORDS / f"{run.name}.csv")
    with (run / "log.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    (RECORDS / f"{run.name}.svg").write_bytes(curve(rows, run.name, "svg"))
    return max(row["validation_db"] for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, named as the models: runs/fsrcnn-x3")
    parser.add_argument("--datasets", type=Path, required=True)
    arguments = parser.parse_args()
    table_file = PRETRAINED / "table.json"
    named = [(run, *parts(run)) for run in arguments.runs]
    for run, family, scale, stage in named:
        source = run / "best.safetensors"
        models.resolve(source, scale)  # refuses another scale than the name's
        scored = scores(source, arguments.datasets)  # before anything is written
        # Photo weights may be the average of two runs, without a log; and their logs are of degraded pictures.
        validation = record(run) if (run / "log.csv").exists() else 0.0
        if "-photo" in family:
            validation = mean_psnr(source, arguments.datasets / "BSDS500-val20")
        for before in sorted(run.parent.glob(f"{run.name}.*")):
            if before.suffix != ".t91":
                record(before)
        row = {
            "family": family,
            "scale": scale,
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            "trained_on": TRAINED_ON[stage] + (", then these degraded" if "-photo" in family else ""),
            "recipe": f"recipes/{'fsrcnn-photo' if '-photo' in family else family}-x{scale}.sh",
            "validation": validation,
            "scores": scored,
        }
        shutil.copyfile(source, PRETRAINED / f"{run.name}.safetensors")
        table = json.loads(table_file.read_text()) if table_file.exists() else {}
        table[run.name] = row
        # As people look for them: family, scale, the final weights before those of the first stage.
        order = sorted(
            table, key=lambda n: (pretrained.FAMILIES.index(table[n]["family"]), table[n]["scale"], n.endswith(".t91"))
        )
        table_file.write_text(json.dumps({n: table[n] for n in order}, indent=1) + "\n")
        print(json.dumps({run.name: row}), flush=True)


if __name__ == "__main__":
    cli.run(main)
