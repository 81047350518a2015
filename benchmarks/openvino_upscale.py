"""What an OpenVINO user types to upscale a folder of pictures of one size: luma by the network, chroma by bicubic interpolation.

python benchmarks/openvino_upscale.py MODEL.onnx IN/ OUT/ .png
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import openvino

model, source, target, ending = sys.argv[1:]
network = openvino.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
for path in sorted(Path(source).iterdir()):
    ycrcb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2YCrCb)
    luma = network(ycrcb[None, None, :, :, 0].astype(np.float32) / 255)[0][0, 0]
    larger = cv2.resize(ycrcb, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    larger[:, :, 0] = np.clip(np.rint(luma * 255), 0, 255)
    cv2.imwrite(str(Path(target) / (path.stem + ending)), cv2.cvtColor(larger, cv2.COLOR_YCrCb2BGR))
