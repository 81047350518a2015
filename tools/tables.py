"""The measured tables in README and docs, made here and nowhere else: `python tools/tables.py [--check]`.

A table stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->` in its page. Its text is made from what is committed (results of
benchmarks in `benchmarks/results/`, scores of the bundled weights in `table.json`), so neither pictures nor a measurement are needed;
`--check` writes nothing and names the tables that differ, for `make lint`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fsrcnn import cli, pretrained
from fsrcnn.architecture import FAMILY_NAMES, SCALES
from fsrcnn.degradation import RANGES, REAL, Ranges
from fsrcnn.protocol import PROTOCOLS, Protocol

ROOT = Path(__file__).resolve().parent.parent
SETS = ("Set5", "Set14", "BSD200")
# Dong et al. 2016, tables 3 (91 images) and 4 (91 images + General-100): family, stage, scale → PSNR in dB of the sets.
PUBLISHED = {
    ("fsrcnn", ".t91", 2): (36.94, 32.54, 31.73), ("fsrcnn", "", 2): (37.00, 32.63, 31.80),
    ("fsrcnn", ".t91", 3): (33.06, 29.37, 28.55), ("fsrcnn", "", 3): (33.16, 29.43, 28.60),
    ("fsrcnn", ".t91", 4): (30.55, 27.50, 26.92), ("fsrcnn", "", 4): (30.71, 27.59, 26.98),
    ("fsrcnn-s", ".t91", 2): (36.53, 32.22, 31.44), ("fsrcnn-s", "", 2): (36.58, 32.28, 31.48),
    ("fsrcnn-s", ".t91", 3): (32.55, 29.08, 28.32), ("fsrcnn-s", "", 3): (32.61, 29.13, 28.33),
    ("fsrcnn-s", ".t91", 4): (30.04, 27.12, 26.73), ("fsrcnn-s", "", 4): (30.11, 27.19, 26.75),
}  # fmt: skip
DATA = {".t91": "91 images", "": "91 images, then more"}
STAGES = (".t91", "")
PHOTO_FAMILIES = tuple(name for name in pretrained.FAMILIES if name == "fsrcnn" or "-photo" in name)


def saved(name: str) -> dict[str, Any]:
    """A benchmark's result; its shape is that of benchmarks/machine.py."""
    loaded: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))
    return loaded


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    lines.insert(1, "|---" * len(head) + "|")
    return "\n".join(lines).replace("|  |", "| |")


def quality(protocols: tuple[Protocol, ...], stages: tuple[str, ...]) -> str:
    return "\n\n".join(_quality(protocol, stages) for protocol in protocols)


def _quality(protocol: Protocol, stages: tuple[str, ...]) -> str:
    bicubic, bundled = saved("quality")["results"]["bicubic"][protocol], pretrained.table()
    rows = []
    for scale in SCALES:
        scores = [bicubic[f"x{scale}"][name] for name in SETS]
        rows.append(["bicubic", f"×{scale}", *(f"{psnr:.2f} / {ssim:.4f}" for psnr, ssim in scores)])
        for stage in stages:
            for family in reversed(FAMILY_NAMES):
                published = PUBLISHED.get((family, stage, scale))
                if published and protocol == "paper":
                    title = f"{family} as published, {DATA[stage]}"
                    rows.append([title, f"×{scale}", *(f"{psnr:.2f}" for psnr in published)])
                name = pretrained.name_of(family, scale) + stage
                ours = [bundled[name].scores[pictures][protocol] for pictures in SETS]
                rows.append([f"`{name}`", f"×{scale}", *(f"**{psnr:.2f}** / {ssim:.4f}" for psnr, ssim in ours)])
    return table([f"`{protocol}`", "scale", *SETS], rows)


def mistakes() -> str:
    found = saved("quality")["results"]["mistakes"]
    right = found[0]["psnr"]
    rows = [
        [
            "–" if row["only"] == "right" else f"`{row['only']}`",
            row["title"],
            f"{row['psnr']:.2f}",
            f"{row['psnr'] - right:+.2f}",
        ]
        for row in found
    ]
    return table(["`--only`", "what is done", "dB", "to the right one"], rows)


def integer_loss() -> str:
    measured = saved("integer_loss")["results"]
    kinds = list(dict.fromkeys(kind for networks in measured.values() for kind in networks if kind != "float"))
    rows = []
    for name, sets in measured.items():
        for pictures in sets["float"]:
            losses = (
                f"{sets[kind][pictures] - sets['float'][pictures]:+.3f}" if kind in sets else "" for kind in kinds
            )
            rows.append([f"`{name}`", pictures, f"{sets['float'][pictures]:.2f}", *losses])
    return table(["PSNR in dB", "pictures", "float", *(_kind_of_core(kind) for kind in kinds)], rows)


def _kind_of_core(kind: str) -> str:
    """`w8a8, tuned` with its format as code."""
    format, _, way = kind.partition(", ")
    return f"`{format}`{f', {way}' if way else ''}"


def precision() -> str:
    rows = []
    for name, psnr in saved("precision")["results"].items():
        exact, fast, bfloat16 = psnr["exact"], psnr["fast"], psnr["bfloat16"]
        rows.append([f"`{name}`", f"{exact:.3f}", f"{fast:.3f}", f"{exact - fast:.4f}", f"{exact - bfloat16:.3f}"])
    return table(["", "exact", "fast", "loss", "bfloat16, loss"], rows)


def stages() -> str:
    result = saved("stages")
    text = (
        f"{result['what']}, an {result['machine']['processor']} processor; milliseconds. Floors: the multiply-adds of the "
        "paper, and the products really taken, at the measured peak of the registers "
        "([results](../benchmarks/results/stages.json)):"
    )
    exact, fast = (result["results"][precision]["stages"] for precision in ("exact", "fast"))
    columns = [(times, key) for times in (exact, fast) for key in ("floor", "floor_of_products", "measured")]
    rows = [[stage, *(f"{times[stage][key]:.0f}" for times, key in columns)] for stage in exact]
    rows.append(["together", *(f"{sum(parts[key] for parts in times.values()):.0f}" for times, key in columns)])
    head = ["stage", "exact: floor", "of the products", "measured", "fast: floor", "of the products", "measured"]
    return f"{text}\n\n{table(head, rows)}"


def engines() -> str:
    result = saved("engines")
    times = result["results"]["milliseconds"]
    columns = [(model, threads) for model, by_threads in times.items() for threads in by_threads]
    names = dict.fromkeys(name for model, threads in columns for name in times[model][threads])
    peers = ("openvino", "onnxruntime", "opencv-contrib-python-headless", "torch")
    versions = ", ".join(f"{name} {result['versions'][name]}" for name in peers)
    rows = []
    for name in names:
        cells = [times[model][threads].get(name) for model, threads in columns]
        rows.append([name, *("–" if cell is None else f"{cell['median']:.0f}" for cell in cells)])
    text = (
        f"{result['what']}, an {result['machine']['processor']} processor ({versions}); median milliseconds "
        "([results](../benchmarks/results/engines.json)):"
    )
    return f"{text}\n\n{table(['', *(f'`{model}`, {threads}' for model, threads in columns)], rows)}"


def builds() -> str:
    result = saved("builds")
    times = result["results"]["milliseconds"]
    names = list(next(iter(times.values())))
    rows = [
        [case, *(f"{taken[name]['min']:.0f}" for name in names), f"{result['results']['ratios'][case][names[1]]:.2f}"]
        for case, taken in times.items()
    ]
    same = "the same" if result["results"]["fast_same_bytes"] else "not the same"
    text = (
        f"{result['what']}, an {result['machine']['processor']} processor; least milliseconds, with one thread. "
        f"The bytes of `fast` are {same} in both builds ([results](../benchmarks/results/builds.json)):"
    )
    return f"{text}\n\n{table(['', *names, f'{names[1]} / {names[0]}'], rows)}"


def small_pictures() -> str:
    times = saved("engines_64x64")["results"]["milliseconds"]["fsrcnn"]["1 thread"]
    best = saved("engines_64x64")["results"]["instruction_sets"][0]
    exact, fast = (times[f"fsrcnn {precision}, {best}"]["median"] for precision in ("exact", "fast"))
    fp32, bf16 = (times[f"OpenVINO {kind}"]["median"] for kind in ("fp32", "bf16"))
    memory = saved("memory")
    part = memory["results"]["native_part_mb"]
    return (
        f"Small pictures: 64×64 takes {exact} ms in `exact` and {fast} ms in `fast`, with one thread or two (a second is\n"
        f"started only where there is work for some milliseconds); OpenVINO takes {fp32} in fp32 and {bf16} in bf16\n"
        "([results](../benchmarks/results/engines_64x64.json), `--height 64 --width 64`).\n"
        f"Memory beyond the two pictures' own: {part['1 thread']} MB with one thread, {part['2 threads']} MB with two, at 100\n"
        "megapixels ([results](../benchmarks/results/memory.json))."
    )


def memory() -> str:
    result = saved("memory")["results"]
    return (
        f"A picture of 100 megapixels at ×2 peaked at {result['above_both_mb']} MB above its own {result['decoded_mb']} MB and the "
        f"result's {result['result_mb']:,} MB ([results](benchmarks/results/memory.json))."
    )


def folder() -> str:
    result = saved("folder")
    runs = result["results"]
    ways = {"jpg to png": "JPEG to PNG", "jpg to jpg": "JPEG to JPEG"}
    names = [name for name in runs["jpg to png"]["pictures_per_second"] if not name.startswith("before")]
    head = [
        "",
        *(f"{title}: pictures per second" for title in ways.values()),
        *(f"{title}: CPU seconds each" for title in ways.values()),
    ]
    rows = [
        [
            name,
            *(f"{runs[way]['pictures_per_second'][name]:.2f}" for way in ways),
            *(f"{runs[way]['cpu_seconds_per_picture'][name]:.2f}" for way in ways),
        ]
        for name in names
    ]
    return (
        f"{result['what']}, {result['machine']['threads']} threads of an {result['machine']['processor']} "
        f"([results](benchmarks/results/folder.json)):\n\n{table(head, rows)}"
    )


def photo() -> str:
    result = saved("photo_to_4k")
    text = (
        "`make bench`: the whole command on a 1920×1080 photo to a 3840×2160 PNG, start-up included, "
        "`--model fsrcnn` but where it is chosen, "
        f"{result['machine']['threads']} threads of an {result['machine']['processor']}, medians of "
        f"{result['results']['runs']} runs in turn, seconds ([results](benchmarks/results/photo_to_4k.json)):"
    )
    parts = ("start-up", "decode", "upscale", "encode")
    rows = [
        [name, f"**{seconds['whole']:.2f}**", *(f"{seconds[part]:.2f}" if part in seconds else "" for part in parts)]
        for name, seconds in result["results"]["seconds"].items()
    ]
    return f"{text}\n\n{table(['', 'whole command', *parts], rows)}"


def photo_rows(folders: tuple[str, ...], scales: tuple[int, ...], families: tuple[str, ...], folder: str) -> str:
    """The cases of the protocol photo; without `families`, of all that were measured. `folder` holds the results."""
    result = saved("photo")
    tables = []
    for scale in scales:
        for pictures in folders:
            cases = result["results"][f"x{scale}"][pictures]
            wanted = {"bicubic", "lanczos", *(pretrained.name_of(family, scale) for family in families)}
            ways = [way for way in next(iter(cases.values())) if not families or way in wanted]
            rows = [
                [case, f"{row['bicubic']:.2f}", *(f"{row[way]:+.2f}" for way in ways if way != "bicubic")]
                for case, row in cases.items()
            ]
            titles = ["Lanczos" if way == "lanczos" else f"`{way}`" for way in ways if way != "bicubic"]
            tables.append(table([f"{pictures} ×{scale}", "bicubic", *titles], rows))
    text = f"PSNR in dB of bicubic interpolation, and above it of the others ([results]({folder}/photo.json)):"
    return "\n\n".join([text, *tables])


def auto() -> str:
    """Of the choice, at ×2; the losses at all scales."""
    result = saved("auto")["results"]
    tables, losses = [], []
    for scale, sets in result.items():
        for pictures, found in sets.items():
            losses.append(f"{pictures} ×{scale[1:]} {found['mean regret']:.2f}")
            if scale == "x2":
                ways = [way for way in next(iter(found["rows"].values())) if way not in ("regret", "chosen")]
                rows = [
                    [case, *(f"{row[way]:+.2f}" for way in ways), f"{row['regret']:.2f}"]
                    for case, row in found["rows"].items()
                ]
                tables.append(table([f"{pictures} ×2", *(f"`{way}`" for way in ways), "loss"], rows))
    text = (
        "dB above bicubic interpolation, and what the choice loses against the best of the four for each picture "
        f"([results](../benchmarks/results/auto.json)); the mean loss is {', '.join(losses)} dB:"
    )
    return "\n\n".join([text, *tables])


def strengths() -> str:
    ((pictures, cases),) = saved("photo")["results"]["strengths"].items()
    ways = [way for way in next(iter(cases.values())) if way.startswith("@")]
    rows = [[case, *(f"{row[way]:+.2f}" for way in ways)] for case, row in cases.items()]
    return table([f"{pictures} ×2", *(f"`{way}`" for way in ways)], rows)


def training() -> str:
    result = saved("training_speed")
    text = (
        f"{result['what'].split(', ')[0]}, one core of an {result['machine']['processor']} processor, PyTorch "
        f"{result['versions']['torch']}, milliseconds per update ([results](../benchmarks/results/training_speed.json)):"
    )
    rows = []
    for name, figures in result["results"].items():
        ms, samples = figures["milliseconds"], figures["samples_per_second"]["train"]
        ratios = [f"{figures['train_to_eager']}×", f"{figures['train_to_bare']:.0%}"]
        rows.append([f"`{name}`", f"{ms['eager']}", f"{ms['bare']}", f"{ms['train']}", f"{samples:,}", *ratios])
    head = [
        "network",
        "plain eager loop",
        "our bare step",
        "`train`, all of it",
        "samples per second",
        "to eager",
        "to the bare step",
    ]
    return f"{text}\n\n{table(head, rows)}"


def chain() -> str:
    """The ranges to learn from, those of the case `real`, and those of the two models they are lighter ones of."""
    columns = {**{name: RANGES[name] for name in ("photo-mild", "photo", "photo-strong")}, "real": REAL}

    def span(values: tuple[float, float]) -> str:
        return f"{values[0]:g} to {values[1]:g}"

    def cells(say: Callable[[Ranges], str]) -> list[str]:
        return [say(ranges) for ranges in columns.values()]

    def kernels(ranges: Ranges) -> str:
        return ", ".join(f"{name} {odds / sum(o for _, o in ranges.kernels):.0%}" for name, odds in ranges.kernels)

    rows = [
        ["nothing but MATLAB's bicubic, half of them rounded to 8 bit", *cells(lambda r: f"{r.clean:.0%}"), "never", "never"],
        ["blur: a Gaussian, half of them round, the others with two σ and turned",
         *cells(lambda r: f"{r.blur:.0%}: σ {span(r.blur_sigma)} LR pixels"),
         "always; σ 0.1 to 2.4 HR pixels at ×2", "always; σ 0.2 to 3 HR pixels, twice"],
        ["shrinking", *cells(kernels), "nearest, bilinear, bicubic; in two steps", "area, bilinear, bicubic; in two steps"],
        ["noise in linear light, Poisson's and Gaussian in random parts, as often in each octave",
         *cells(lambda r: f"{r.noise:.0%}: σ {span(r.noise_sigma)} levels at white"),
         "σ 2 to 25 levels", "σ 1 to 30 levels, twice"],
        [f"sharpening: an unsharp mask, before the noise in {RANGES['photo'].sharpen_first:.0%}",
         *cells(lambda r: f"{r.sharpen:.0%}: σ {span(r.sharpen_sigma)} LR pixels, amount {span(r.sharpen_amount)}"),
         "no", "of the originals"],
        [f"compression: JPEG, {RANGES['photo'].full_chroma:.0%} of colour ones 4:4:4, the others 4:2:0, or WebP",
         *cells(lambda r: f"{r.compress:.0%}, {r.again:.0%} of these twice: quality {span(r.quality)}; WebP in {r.webp:.0%}"),
         "JPEG, quality 30 to 95, at times twice", "JPEG, quality 30 to 95, twice"],
    ]  # fmt: skip
    return table(["in this order", *(f"`{name}`" for name in columns), "BSRGAN", "Real-ESRGAN"], rows)


def cluster() -> str:
    result = saved("cluster")
    measured = result["results"]
    head = ["cores", "seconds per picture: one process", "`--cluster local`", "overhead"]
    rows = [
        [
            cores,
            *(f"{row['seconds_per_picture'][way]:.3f}" for way in ("process", "cluster")),
            f"{row['overhead_percent']:.1f} %",
        ]
        for cores, row in measured["cores"].items()
    ]
    driver, start = measured["driver"], measured["start_seconds"]
    return (
        f"{result['what']}; {result['machine']['processor']}, Ray {result['versions']['ray']} "
        f"([results](../benchmarks/results/cluster.json)):\n\n{table(head, rows)}\n\n"
        "The overhead is measured within each run: the time of the cores for each second that pictures took by the log, which a "
        "machine of changing speed does not blur, as it does the seconds. "
        f"The start takes {start['cluster']:.1f} seconds with a cluster and {start['process']:.1f} without. A picture costs the "
        f"driver {driver['cpu_milliseconds_per_picture']:.2f} ms of a core, log and listing included, so one driver keeps up with "
        f"{driver['pictures_per_second']:,} pictures a second. It took {driver['memory_mb']:,} MB, a worker at most "
        f"{measured['worker_memory_mb']:,} MB."
    )


def listing() -> str:
    """How soon work begins in a million pictures, and in how much memory."""
    result = saved("listing")
    head = ["", "pictures", "seconds to the first", "to the last", "MB at the first", "MB at most"]
    rows = [
        [
            label,
            f"{row['jobs']:,}",
            f"{row['seconds_to_the_first']:.1f}",
            f"{row['seconds_to_the_last']:.0f}",
            f"{row['memory_mb_at_the_first']}",
            f"{row['memory_mb_at_most']}",
        ]
        for label, row in (("a folder", result["results"]["folder"]), ("a store", result["results"]["store"]))
    ]
    return (
        f"{result['what']}; {result['machine']['processor']} ([results](../benchmarks/results/listing.json)). The store is a small "
        f"program on the same machine, which answers lists:\n\n{table(head, rows)}"
    )


def films() -> str:
    result = saved("film")
    by_threads, versions = result["results"], result["versions"]
    text = (
        f"{result['what']}, an {result['machine']['processor']} processor; medians. x264 veryfast, CRF 18: that of PyAV "
        f"{versions['av']}, for ffmpeg {versions['ffmpeg']} its own; OpenVINO {versions['openvino']} "
        "([results](../benchmarks/results/film.json)):"
    )
    columns = ("frames per second", "CPU seconds a frame")
    head = ["", *(f"{column}, {threads}" for column in columns for threads in by_threads), "MB at most"]
    rows = []
    for name, last in list(by_threads.values())[-1]["films"].items():
        cells = [found["films"][name] for found in by_threads.values()]
        rates = [f"{cell['frames_per_second']:.2f}" for cell in cells]
        seconds = [f"{cell['cpu_seconds_per_frame']:.2f}" for cell in cells]
        rows.append([name, *rates, *seconds, f"{last['peak_mb']:,}"])
    shares = [row["frame / network"] for found in by_threads.values() for row in found["milliseconds"].values()]
    share = (
        f"All that is done with a frame between decoder and encoder takes {min(shares):.2f} to {max(shares):.2f} times as long "
        "as its network alone."
    )
    return f"{text}\n\n{table(head, rows)}\n\n{share}"


def film_memory() -> str:
    result = saved("film_memory")["results"]
    peaks = [f"{name} {found['peak_mb']} MB" for name, found in result.items()]
    return f"Resident memory at most ([results](../benchmarks/results/film_memory.json)): {'; '.join(peaks)}."


def browsers() -> str:
    result = saved("web_engine")
    others = ("to native AVX2", "to ONNX Runtime Web")
    rows = []
    for name, found in result["results"].items():
        ratios = [f"{found[other]:.2f}" if other in found else "" for other in others]
        rows.append([name, f"{found['milliseconds']:,.0f}", *ratios])
    text = f"{result['what']}, an {result['machine']['processor']} ([results](../benchmarks/results/web_engine.json)):"
    return (
        f"{text}\n\n{table(['', 'milliseconds', 'to native AVX2, of the same precision', 'to ONNX Runtime Web'], rows)}"
    )


def serving() -> str:
    result = saved("serve")
    head = [
        "",
        "pictures",
        "lost or wrong",
        "pictures per second",
        "latency p50, p95, p99, seconds",
        "MB after a tenth, after all",
    ]
    rows = []
    for name, found in result["results"].items():
        latency = ", ".join(f"{seconds:.1f}" for seconds in found["latency_seconds"].values())
        memory = ", ".join(f"{value:,}" for value in found["memory_mb"].values())
        rate = f"{found['pictures_per_second']:.1f}"
        rows.append([name, f"{found['pictures']:,}", str(found["lost"] + found["wrong"]), rate, latency, memory])
    machine = f"{result['machine']['threads']} threads of an {result['machine']['processor']}"
    return f"{result['what']}, {machine} ([results](../benchmarks/results/serve.json)):\n\n{table(head, rows)}"


# Place, command, how it is checked, how exact it is, how fast. Of a pair (client, input) benchmarks/exports.py tells how exact, and a
# graph's label says how fast; any other text stands for itself.
PLACES: tuple[tuple[str, str, str, str | tuple[str, str], str], ...] = (
    (
        "Python, this processor", '`Upscaler("fsrcnn")`', "each instruction set against the numpy engine",
        "1e-5 of 1", "fsrcnn exact, luma",
    ),
    (
        "the same, `fast`", '`precision="fast"`', "against its definition in whole numbers",
        "the same bytes everywhere", "fsrcnn fast, luma",
    ),
    ("Python, a GPU", '`engine="torch:cuda"`', "PyTorch on the CPU, in the tests", "1e-5 of 1", "–"),
    (
        "[C, C++, Rust](c-library.md)", "`make c-library`", "examples, built and run",
        "the bytes of the Python package", "as Python",
    ),
    (
        "[VapourSynth](vapoursynth.md)", "`core.fsrcnn.Upscale`", "in VapourSynth",
        "the bytes of the Python package, chroma in float 1e-6", "as Python",
    ),
    (
        "[a page, Node](../web/README.md)", "`make web`", "in Chromium, Firefox and Node",
        "`fast`: the same bytes; `exact`: 1e-5 of 1", "[measured](native-engine.md)",
    ),
    ("[mpv, ffmpeg](mpv.md)", "`fsrcnn export mpv`", "the family in ffmpeg and mpv", "shaders", "–"),
    (
        "ONNX Runtime", "`fsrcnn export onnx`", "each file before it goes out; the family in the tests",
        ("ONNX Runtime", "luma"), "ONNX Runtime, luma, conv",
    ),
    (
        "ONNX Runtime, RGB", "`fsrcnn export onnx --input rgb8`", "as above",
        ("ONNX Runtime", "rgb8"), "ONNX Runtime, rgb8, conv",
    ),
    (
        "OpenVINO, with the hint f32", "`fsrcnn export onnx`", "the family in the tests",
        ("OpenVINO f32", "luma"), "OpenVINO f32, luma, conv",
    ),
    ("ncnn", "`fsrcnn export onnx`, `pnnx`", "each network and each scale in the tests", ("ncnn", "luma"), "–"),
    ("TFLite", "`fsrcnn export onnx`, `onnx2tf`", "the family by `benchmarks/exports.py`", ("TFLite", "luma"), "–"),
    ("TensorRT", "`fsrcnn export onnx --float16`", "not run here", "–", "–"),
    (
        "[an FPGA](chip-core.md)", "`fsrcnn quantize`, `fsrcnn export rtl`", "in Verilator and CXXRTL; never run on a board",
        "its integer model: the same bits; from float [in dB](chip-core.md#formats-and-their-loss)",
        "[frames a second](chip-core.md#what-it-costs)",
    ),
)  # fmt: skip


def places() -> str:
    """Where a model can go."""
    result, speed = saved("exports")["results"], saved("exports")["what"].split("speed: ")[1]
    levels = max(row["levels"] for row in saved("shaders")["results"].values() if "levels" in row)

    def exactness(source: str | tuple[str, str]) -> str:
        if isinstance(source, str):
            return f"{levels:.1f} levels of 255" if source == "shaders" else source
        apart = [
            row["largest"] for row in result["distances"]
            if (row["client"], row["input"], row["form"]) == (*source, "conv") and row["largest"] is not None
        ]  # fmt: skip
        return f"{max(apart):.0f} level of 255" if source[1] == "rgb8" else f"{max(apart):.1e} of 1"

    taken = result["milliseconds"]["fsrcnn"]
    rows = [
        [place, command, checked, exactness(source), f"{taken[label]:,.0f} ms" if label in taken else label]
        for place, command, checked, source, label in PLACES
    ]
    head = [
        "place",
        "command",
        "how it is checked",
        "at most from the numpy engine",
        f"{speed.split(',')[0]}, `fsrcnn`",
    ]
    return table(head, rows)


def export_distances() -> str:
    result = saved("exports")
    found = result["results"]["distances"]
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items() if name in EXPORT_CLIENTS)
    columns = list(dict.fromkeys((row["client"], row["input"], row["form"]) for row in found))
    failures = [row for row in found if "fails" in row]
    columns = [column for column in columns if column not in map(_key, failures)]
    names = list(dict.fromkeys(row["model"] for row in found))
    cells = {(row["model"], *_key(row)): row["largest"] for row in found}
    rows = []
    for client, input, form in columns:
        apart = [cells.get((name, client, input, form)) for name in names]
        said = ["–" if value is None else f"{value:.0f}" if input == "rgb8" else f"{value:.1e}" for value in apart]
        rows.append([client, f"{input}, {form}", *said])
    text = (
        f"The largest distances from the numpy engine, of luma in 0 to 1, of 8-bit RGB in levels: {result['what'].split(';')[0]} "
        f"({versions}; [results](../benchmarks/results/exports.json))."
    )
    failed = "\n".join(
        f"- {', '.join(_key(row))}, `{row['model']}`: {row['fails'].removesuffix('.')}." for row in failures
    )
    return f"{text}\n\n{table(['', '', *(f'`{name}`' for name in names)], rows)}\n\nWhat fails:\n\n{failed}"


EXPORT_CLIENTS = ("onnxruntime", "openvino", "ncnn", "pnnx", "onnx2tf", "tensorflow")


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["client"], row["input"], row["form"]


def export_speed() -> str:
    result = saved("exports")
    found = result["results"]["milliseconds"]
    rows = [[label, *(f"{times[label]:,.0f}" for times in found.values())] for label in next(iter(found.values()))]
    speed = result["what"].split("speed: ")[1]
    text = f"Milliseconds for {speed}, {result['machine']['threads']} threads of an {result['machine']['processor']}, medians:"
    return f"{text}\n\n{table(['', *(f'`{name}`' for name in found)], rows)}"


def transition() -> str:
    """Computed, not measured; the example prints it."""
    command = [sys.executable, "examples/transition.py"]
    return subprocess.run(command, check=True, cwd=ROOT, capture_output=True, encoding="utf-8").stdout.strip()


def shaders() -> str:
    """User shaders beside each other, in one client."""
    head = ["shader, ×2", "passes", "fetches", "texels", "kB", *SETS[:2], "levels"]
    rows = []
    for name, row in saved("shaders")["results"].items():
        psnr = row.get("psnr", {})
        cells = [
            *(f"{row[count]:.0f}" if count in row else "" for count in ("passes", "fetches", "texels")),
            f"{row['bytes'] / 1000:.0f}" if "bytes" in row else "",
            *(f"{psnr[pictures]:.2f}" if pictures in psnr else "" for pictures in SETS[:2]),
            f"{row['levels']:.2f}" if "levels" in row else "",
        ]
        rows.append([name, *cells])
    return table(head, rows)


# A hand-made port of FSRCNN ×4 to a ZCU102, 320×180 → 1280×720, in figures that were published: DSP, LUT, BRAM, clock in MHz.
HAND_MADE = (1513, 41859, 96.5, 300)


def resources() -> str:
    """Chip cores: what they take on three targets."""
    result = saved("rtl")
    rows = []
    for row in result["results"].values():
        taken, clock = row["total"], row["clock_mhz"]
        height, width, scale = row["height"], row["width"], row["scale"]
        lacking = [name.split(" ")[0] for name, missing in row["lacking"].items() if missing]
        rows.append([
            f"`{row['model']}-x{scale}` {width}×{height} → {scale * width}×{scale * height}",
            f"{row['lr_cycles']}",
            f"{row['multipliers']}",
            f"`{row['target']}`",
            *(f"{taken[name]:,g}" for name in ("dsp", "lut", "ff", "bram")),
            f"{clock:.0f}, routed" if clock else f"{row['assumed_mhz']:.0f}, assumed",
            f"{row['frames_per_second']:.1f}",
            ", ".join(lacking) or "–",
        ])  # fmt: skip
    dsp, lut, bram, clock = HAND_MADE
    published = "FSRCNN ×4 320×180 → 1280×720, a hand-made port on a ZCU102, as published"
    rows.append([published, "–", "–", "–", f"{dsp:,}", f"{lut:,}", "–", f"{bram}", f"{clock}", "–", "–"])
    head = ["", "cycles", "multipliers", "target", "DSP", "LUT", "FF", "BRAM", "MHz", "frames/s", "does not fit"]
    text = (
        f"{result['what'][0].upper()}{result['what'][1:]} (pyosys {result['versions']['pyosys']}; "
        "[results](../benchmarks/results/rtl.json)). BRAM: 36 kbit on `xcup` and `xc7`, 18 kbit on `ecp5`; DSP: DSP48, or "
        "MULT18X18D. Cycles are those of an LR pixel. A clock is assumed, or routed by nextpnr for an LFE5U-85 of the slowest grade."
    )
    return f"{text}\n\n{table(head, rows)}"


def archive() -> str:
    """What a picture costs, what archives of two sizes take on three clusters, and where limits bind."""
    result = saved("archive")
    found, assumed = result["results"], result["results"]["assumed"]
    ways = [
        [
            name,
            f"{way['cpu_seconds']:.2f}",
            f"{way['bytes_in'] / 1e6:.2f}",
            f"{way['bytes_out'] / 1e6:.2f}",
            f"{way['peak_mb']}",
        ]
        for name, way in found["ways"].items()
    ]
    rows = [
        [
            f"10{'⁶' if row['pictures'] == 10**6 else '⁹'}",
            f"{row['machines']:,}",
            _three_digits(row["hours"]),
            row["binds_first"],
            _three_digits(row["hours_with_drivers"]),
            f"{row['drivers']}",
            _three_digits(row["hours_with_drivers"] * row["machines"]),
            f"{_three_digits(row['bytes_in'] / 1e12)} / {_three_digits(row['bytes_out'] / 1e12)}",
            _three_digits(row["log_bytes"] / 1e9),
            " / ".join(_three_digits(row["requests"][kind] / 1e6) for kind in ("get", "put", "list")),
            " / ".join(_three_digits(row[f"price_of_{what}"]) for what in ("cores", "requests", "a_month")),
        ]
        for row in found["model"]
    ]
    head = [
        "pictures", "machines", "hours", "what binds", "hours with as many drivers as it takes", "drivers", "machine-hours with these",
        "TB in / out", "log, GB", "million GET and HEAD / PUT / LIST", "price of cores / requests / a month",
    ]  # fmt: skip
    bounds = [
        [name, f"{bound['pictures_per_second']:,.0f}", f"{bound['cores']:,.0f}"]
        for name, bound in found["limits"].items()
    ]
    elsewhere = found["elsewhere"]
    if "driver_rate" not in elsewhere:
        bounds.append(["driver", "not measured", "–"])
    overhead = "What the cluster takes beside is not measured"
    if "overhead_percent" in elsewhere:
        overhead = f"What the cluster takes beside is counted: {max(0, elsewhere['overhead_percent']):g} %"
    listed = ""
    if {"listed", "listing_seconds", "listing_peak_mb"} <= set(elsewhere):
        listed = (
            f" Beside the store's own time, a listing of {elsewhere['listed']:,.0f} keys took "
            f"{elsewhere['listing_seconds']:.0f} s and {elsewhere['listing_peak_mb']:.0f} MB here."
        )
    parts = [
        f"{result['what'][0].upper()}{result['what'][1:]}; an {result['machine']['processor']} "
        "([results](../benchmarks/results/archive.json)):",
        table(["way", "CPU seconds", "MB in", "MB out", "peak memory of a process, MB"], ways),
        "Archives of pictures of 1 megapixel, JPEG to JPEG, `fast`, on machines of 16 cores. Assumed: "
        f"{assumed['gets']} GET, {assumed['heads']} HEAD and {assumed['puts']} PUT for a picture; prices of "
        f"{assumed['core_hour']} for a core-hour, {assumed['thousand_gets']} and {assumed['thousand_puts']} for 1,000 GET and "
        f"PUT or LIST, {assumed['gigabyte_month']} for a "
        f"gigabyte and month, of the results alone; traffic within a region free. {overhead}:",
        table(head, rows),
        f"With one driver, one prefix, and the network of one machine ({assumed['network_gbit']:g} Gbit/s); "
        f"{assumed['page_keys']:,} keys a page, {assumed['page_seconds']:g} s each; {assumed['prefix_gets']:,} GET and "
        f"{assumed['prefix_puts']:,} PUT a second, as S3 publishes them for a prefix.{listed}",
        table(["limit", "pictures per second", "binds from so many cores on"], bounds),
    ]
    return "\n\n".join(parts)


def _three_digits(value: float) -> str:
    """0.0716, 4.58, 152, 4,580."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {
        "quality table": lambda: quality(PROTOCOLS[:1], STAGES[1:]),
        "photo table": photo,
        "memory": memory,
        "folder": folder,
        "real photos": lambda: photo_rows(SETS[1:2], (2,), PHOTO_FAMILIES, "benchmarks/results"),
    },
    "docs/real-photos.md": {
        "strengths": strengths,
        "auto": auto,
        "rows": lambda: photo_rows(("BSDS500-val20", "Set14"), SCALES, (), "../benchmarks/results"),
    },
    "docs/release.md": {"builds": builds},
    "docs/archives.md": {"listing": listing},
    "docs/cluster.md": {"archive": archive, "cluster": cluster},
    "docs/serve.md": {"serving": serving},
    "docs/mpv.md": {"shaders": shaders},
    "docs/exports.md": {"places": places, "export distances": export_distances, "export speed": export_speed},
    "docs/film.md": {"films": films, "film memory": film_memory},
    "docs/reproduce-the-paper.md": {"quality table": lambda: quality(PROTOCOLS, STAGES)},
    "docs/mistakes.md": {"mistakes": mistakes},
    "docs/from-srcnn-to-fsrcnn.md": {"transition": transition},
    "docs/chip-core.md": {"format losses": integer_loss, "resources": resources},
    "docs/train-your-own.md": {"chain table": chain, "speed table": training},
    "docs/native-engine.md": {
        "precision table": precision,
        "stages": stages,
        "engines": engines,
        "small pictures": small_pictures,
        "browsers": browsers,
    },
}
MARKED = re.compile(r"<!-- (?P<name>[\w ]+): begin -->\n(?P<text>.*?)\n<!-- (?P=name): end -->", re.DOTALL)


def renewed(page: str, text: str) -> tuple[str, list[str]]:
    """A page with all its tables made anew, and the names of those that were not as they are now.

    Raises:
        SystemExit: the page has a table that nothing makes, or lacks one.
    """
    differing = []

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        made = TABLES[page][name]()
        if made != match["text"]:
            differing.append(name)
        return f"<!-- {name}: begin -->\n{made}\n<!-- {name}: end -->"

    marked = [match["name"] for match in MARKED.finditer(text)]
    if sorted(marked) != sorted(TABLES[page]):
        raise SystemExit(f"{page}: its tables are {sorted(marked)}; tools/tables.py makes {sorted(TABLES[page])}")
    return MARKED.sub(replace, text), differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where a table is not as its results are"
    )
    check: bool = parser.parse_args().check
    stale = []
    for page in TABLES:
        path = ROOT / page
        text, differing = renewed(page, path.read_text("utf-8"))
        stale += [f"{page}: {name}" for name in differing]
        if not check:
            path.write_text(text, encoding="utf-8")
    if check and stale:
        raise SystemExit("\n".join([*stale, "not as the committed results are; type: python tools/tables.py"]))


if __name__ == "__main__":
    cli.run(main)
