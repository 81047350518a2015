"""The authors' own weights, run through our code, give their published figures: the network and the protocol are theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from fsrcnn.color import luma
from fsrcnn.engines.numpy import Float32, convolve, deconvolve, prelu
from fsrcnn.evaluation import read_8bit, round_8bit, score
from fsrcnn.imresize import imresize
from fsrcnn.metrics import modcrop

# Dong et al. 2016, tables 3 and 4 (Set5, PSNR); the deconvolution's output starts at these HR rows in the authors' geometry.
PUBLISHED = {
    ("FSRCNN", 2): 37.00, ("FSRCNN", 3): 33.16, ("FSRCNN", 4): 30.71,
    ("FSRCNN-s", 2): 36.58, ("FSRCNN-s", 3): 32.61, ("FSRCNN-s", 4): 30.11,
}  # fmt: skip
CROP = {2: 4, 3: 3, 4: 4}


def run_authors(path: Path, lr: Float32, scale: int) -> Float32:
    """Their geometry: one PReLU slope per layer, borders replicated in each layer, the deconvolution's input too."""
    stored = scipy.io.loadmat(path)
    kernels = [np.asarray(k, np.float32) for k in stored["weights_conv"][:, 0]]
    biases = [np.asarray(b, np.float32).ravel() for b in stored["biases_conv"][:, 0]]
    slopes = [np.asarray(p, np.float32).ravel() for p in stored["prelu_conv"][:, 0]]
    x = lr[None]
    for kernel, bias, slope in zip(kernels[:-1], biases, slopes, strict=False):
        channels_in, taps, channels_out = kernel.shape  # MATLAB: columns first
        side = int(np.sqrt(taps))
        weight = kernel.transpose(2, 0, 1).reshape(channels_out, channels_in, side, side).swapaxes(2, 3)
        x = prelu(convolve(x, np.ascontiguousarray(weight), bias, border="edge"), np.repeat(slope, channels_out))
    stamp = kernels[-1][0].T.reshape(-1, 1, 9, 9).swapaxes(2, 3)
    reach = 4
    x = np.pad(x, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    sr = deconvolve(x, np.ascontiguousarray(stamp), biases[-1], scale, CROP[scale])
    return sr[reach * scale :, reach * scale :][: scale * lr.shape[0], : scale * lr.shape[1]]


@pytest.mark.parametrize(("network", "scale"), PUBLISHED)
def test_published_psnr_on_set5(network: str, scale: int, datasets: Path, references: Path) -> None:
    path = references / "weights" / "official-mat" / f"{network}_x{scale}.mat"
    psnr = []
    for picture in sorted((datasets / "Set5").glob("*.png")):
        hr = modcrop(luma(read_8bit(picture)), scale)
        lr = imresize(hr / 255.0, output_size=(hr.shape[0] // scale, hr.shape[1] // scale)).astype(np.float32)
        psnr.append(score(hr, round_8bit(run_authors(path, lr, scale)), scale).psnr)
    assert len(psnr) == 5
    assert np.mean(psnr) == pytest.approx(PUBLISHED[network, scale], abs=0.02)
