"""The model `auto` of the npm package (`web/`): measures, chooses and says the same as the one of Python."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fsrcnn import choice, color, degradation, images, metrics, protocol
from fsrcnn.arrays import Array
from fsrcnn.estimates import Estimates, estimates_of
from fsrcnn.images import Compression
from fsrcnn.training import sheets
from support import ROOT, SHARED

DIST = ROOT / "web" / "dist"

if not (DIST / "choice.json").exists():
    pytest.skip(
        "web/dist/ is not built: `make web` needs clang-19 for WebAssembly, or ziglang", allow_module_level=True
    )

FEATURES = len(choice.features(estimates_of(np.zeros((1, 1), np.uint8)), None))


@dataclass(frozen=True)
class Sample:
    """A picture, what its file said, and the scale that is wanted."""

    pixels: Array
    compression: Compression | None = None
    scale: int = 2


def base(height: int, width: int, channels: int = 3, seed: int = 0) -> Array:
    """Float32 in [0, 1]: smooth shapes with edges and some texture."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    planes = []
    for _ in range(channels):
        a, b, c = generator.uniform(0.02, 0.3, 3)
        shapes = np.sin(a * x + b * y) > np.cos(c * x) - 0.3
        planes.append(0.2 + 0.4 * shapes + 0.2 * np.sin(b * x) + generator.normal(0, 0.01, (height, width)))
    return np.dstack(planes).clip(0, 1).astype(np.float32)


def whole(pixels: Array, dtype: type = np.uint8) -> Array:
    return (pixels * np.iinfo(dtype).max).round().astype(dtype)


def compressed(pixels: Array, quality: int | None, scale: int = 2, *, webp: bool = False) -> Sample:
    decoded = images.read(degradation.encoded(pixels, quality, webp=webp))
    return Sample(decoded.pages[0], decoded.compression, scale)


def made() -> Iterator[tuple[str, Sample]]:
    """Of all kinds, from all that a picture can be."""
    for quality in (1, 10, 30, 49, 50, 75, 90, 100):
        for scale in (2, 3, 4):
            yield f"jpeg-{quality}-x{scale}", compressed(base(150, 200, seed=quality), quality, scale)
    yield "webp", compressed(base(150, 200), 80, webp=True)
    generator = np.random.default_rng(7)
    for sigma in (0.5, 2, 6, 20, 60):
        noisy = base(140, 130, seed=3) + generator.normal(0, sigma / 255, (140, 130, 3)).astype(np.float32)
        yield f"noise-{sigma:g}", Sample(whole(noisy.clip(0, 1)))
    for sigma in (0.5, 1.0, 2.5):
        yield (
            f"blur-{sigma:g}",
            Sample(whole(degradation.filtered(base(140, 130), degradation.gaussian(sigma, sigma, 0)).clip(0, 1))),
        )
    for amount in (0.5, 1.5):
        yield f"sharpened-{amount:g}", Sample(whole(degradation.sharpened(base(140, 130), 1, amount)))
    for height, width in (
        (1, 1),
        (1, 2),
        (1, 300),
        (300, 1),
        (2, 700),
        (63, 64),
        (64, 65),
        (65, 63),
        (31, 129),
        (7, 20),
        (385, 384),
        (901, 70),
        (1500, 2000),
    ):
        yield f"size-{width}x{height}", Sample(whole(base(height, width, seed=height)))
    for level in (0, 1, 128, 255):
        yield f"flat-{level}", Sample(np.full((50, 60, 3), level, np.uint8))
    yield "two-levels", Sample(np.indices((90, 100)).sum(axis=0).astype(np.uint8) % 2 * 255)
    yield "ramp", Sample(np.tile(np.arange(256, dtype=np.uint8), (100, 1)))
    for channels in (1, 2, 3, 4):
        unit = base(150, 170, channels, seed=channels)
        if channels in (2, 4):
            unit[:, :, -1] = 1
        yield f"uint8-{channels}", Sample(whole(unit))
        yield f"uint16-{channels}", Sample(whole(unit, np.uint16))
        yield f"float32-{channels}", Sample(unit)
    yield "float32-of-8-bit", Sample(whole(base(100, 100)) / np.float32(255))
    yield "float32-fine", Sample(base(100, 100) / 1000)
    scattered = generator.random((150, 170))
    for name, alpha in {
        "rows": np.where(np.indices((150, 170))[0] < 40, 0, 1),
        "columns": np.where(np.indices((150, 170))[1] < 90, 0, 1),
        "holes": scattered > 0.02,
        "corner": np.where(np.indices((150, 170)).sum(axis=0) < 70, 0, 1),
        "most": scattered > 0.97,
        "all": 0 * scattered,
        "translucent": scattered / 2 + 0.01,
    }.items():
        unit = np.dstack([base(150, 170, 3, seed=11), alpha.astype(np.float32)])
        yield f"hidden-{name}-uint8", Sample(whole(unit))
        yield f"hidden-{name}-uint16", Sample(whole(unit, np.uint16))
        yield f"hidden-{name}-float32", Sample(unit)
    for level in (0, 255):
        bars = np.pad(whole(base(136, 152)), ((40, 8), (72, 16), (0, 0)), constant_values=level)
        yield f"margin-{level}", Sample(bars)
        unclean = bars + np.random.default_rng(0).integers(-5, 6, bars.shape)
        yield f"unclean-margin-{level}", Sample(unclean.clip(0, 255).astype(np.uint8))
        yield f"deep-margin-{level}", Sample(bars.astype(np.uint16) * 257)
    # What differs by 10 of 255 levels is a margin, by 11 it is none.
    for step in (10, 11):
        striped = np.pad(whole(base(64, 64)), ((72, 0), (16, 0), (0, 0)), constant_values=100)
        striped[:72:3] = 100 + step
        striped[:, :16:2] = 100 + step
        yield f"step-{step}", Sample(striped)
        yield f"deep-step-{step}", Sample(striped.astype(np.uint16) * 257)
    # Float32 rounds this difference to more than 10 / 255.
    fine = np.pad(base(64, 64), ((72, 0), (16, 0), (0, 0)), constant_values=1.6e-9)
    fine[:72:3] = fine[:, :16:2] = 10 / 255
    yield "fine-step", Sample(fine)
    # Of a row of 600 pixels every second one is looked at for a margin, but every one for alpha.
    for column in (1, 2):
        dotted = np.pad(whole(base(64, 600)), ((72, 0), (0, 0), (0, 0)), constant_values=100)
        dotted[:72, column] = 200
        yield f"dots-{column}", Sample(dotted)
        yield f"dots-{column}-across", Sample(np.ascontiguousarray(dotted.transpose(1, 0, 2)))
    slits = whole(np.dstack([base(100, 600), np.ones((100, 600))]))
    slits[:40, :, 3] = 0
    slits[:40, 301, 3] = 255
    yield "slits", Sample(slits)
    seen = np.zeros((64, 64, 2), np.uint8)
    seen[5, 6], seen[40, 41] = (20, 255), (23, 255)
    yield "two-pixels-seen", Sample(seen)
    # 20 levels, and 60 beside them: three times as much.
    yield "steps-beside", Sample(np.tile(np.repeat(np.array([0, 20, 80], np.uint8), [30, 1, 33]), (64, 1)))
    for ink in ("light on dark", "black on white", "yellow on blue"):
        sheet = sheets.text_sheet(np.random.default_rng(5), sheets.INKS[ink], "DejaVuSans", (18, 24), (256, 320)).rgb
        small = degradation.rounded(degradation.shrunk((sheet / 255).astype(np.float32), 2, "area"))
        yield f"letters-{ink.replace(' ', '-')}", compressed(small, None)
        yield f"letters-{ink.replace(' ', '-')}-75", compressed(small, 75)


def photos() -> Iterator[tuple[str, Sample]]:
    for name in ("Set5", "Set14"):
        folder = SHARED / "datasets" / name
        for number, path in enumerate(sorted(folder.iterdir()) if folder.is_dir() else ()):
            rgb = color.as_rgb(protocol.read_8bit(path)).astype(np.float32) / 255
            rgb = metrics.modcrop(rgb, 12)
            for scale in (2, 3, 4):
                cases = list(degradation.CASES.values())
                for case in (cases * 2)[number % len(cases) :][scale : len(cases) : 4]:
                    small = images.read(case.file(rgb, scale, number))
                    yield (
                        f"{name}-{path.stem}-{case.name.replace(' ', '-')}-x{scale}",
                        Sample(small.pages[0], small.compression, scale),
                    )


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no Node here (Debian: apt-get install nodejs)")
    return found


def given(compression: Compression | None) -> dict[str, Any] | None:
    """As the package takes it."""
    return None if compression is None else compression._asdict()


Found = dict[str, tuple[Sample, list[float], dict[str, Any]]]


@pytest.fixture(scope="module")
def found(node: str, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Each sample, the features that the package finds, and its choice."""
    folder, samples, cases = tmp_path_factory.mktemp("choice"), {**dict(made()), **dict(photos())}, []
    for name, sample in samples.items():
        height, width, channels = (*sample.pixels.shape, 1)[:3]
        (folder / name).write_bytes(np.ascontiguousarray(sample.pixels).tobytes())
        kind = {"dtype": str(sample.pixels.dtype), "width": width, "height": height, "channels": channels}
        cases.append({"name": name, **kind, "scale": sample.scale, "compression": given(sample.compression)})
    (folder / "cases.json").write_text(json.dumps(cases))
    command: list[str | Path] = [node, ROOT / "tests" / "web_choice.mjs", DIST, folder]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    lines = [json.loads(line) for line in printed.splitlines()]
    assert [name for name, _, _ in lines] == list(samples)
    return {name: (samples[name], features, chosen) for name, features, chosen in lines}


def test_the_features_are_those_of_python(found: Found) -> None:
    for name, (sample, features, _) in found.items():
        expected = choice.features(estimates_of(sample.pixels), sample.compression)
        np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4, err_msg=name)


def test_the_choice_is_that_of_python(found: Found) -> None:
    assert {chosen["model"] for _, _, chosen in found.values()} == set(choice.families())
    for name, (sample, _, chosen) in found.items():
        expected = choice.choose(sample.pixels, sample.scale, sample.compression)
        assert (name, chosen["model"]) == (name, expected.model)
        # Numbers that lie between two roundings may come out as either.
        np.testing.assert_allclose(chosen["noise"], expected.noise, atol=0.011, err_msg=name)
        assert chosen["expected"].keys() == expected.expected.keys()
        for family, gain in expected.expected.items():
            np.testing.assert_allclose(chosen["expected"][family], gain, atol=0.011, err_msg=name)


@pytest.mark.parametrize("compression", [None, Compression("JPEG", 75), Compression("WebP"), Compression("JPEG")])
@pytest.mark.parametrize(
    ("noise", "gains"),
    [
        (0.0, [0.25, 0.75, -0.25, -0.75]),
        (0.125, [0.125, 0.375, -0.125, 0.625]),
        (1.35, [-0.04, -0.0, -0.004, 0.049]),
        (0.25, [0.045, 0.05, 0.15, 0.35]),
        (64.994999, [1.005, 2.675, -1.115, 12.345]),
        (7.0, [0.5, 1.5, 1.5, 1.5]),
    ],
)
def test_it_is_said_in_the_words_of_python(
    node: str, monkeypatch: pytest.MonkeyPatch, noise: float, gains: list[float], compression: Compression | None
) -> None:
    """Halves, and what floats make of them; of families that do the same, the first."""
    estimates = Estimates(noise, 0.1, 0.2, (0.0, 0.0, 0.0), (0.0,) * 6, (0.0,) * 8)
    weights = [[[0.0] * 4 for _ in range(FEATURES)]]
    table = {
        "families": list("abcd"),
        "mean": [0.0] * FEATURES,
        "deviation": [1.0] * FEATURES,
        "layers": [[weights, [[gains]]]],
    }
    monkeypatch.setattr(choice, "_networks", lambda: {2: choice.network_of(table)})
    monkeypatch.setattr(choice, "estimates_of", lambda pixels: estimates)
    expected = choice.choose(np.zeros((1, 1), np.uint8), 2, compression)
    program = f"""
        const {{choiceOf}} = await import('{DIST}/choice.js');
        const given = {json.dumps([estimates._asdict(), given(compression), table])};
        console.log(JSON.stringify(choiceOf(...given)));
    """
    command = [node, "--input-type=module", "--eval", program]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert found == {
        "model": expected.model,
        "reason": expected.reason,
        "expected": dict(expected.expected),
        "noise": expected.noise,
    }
