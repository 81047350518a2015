"""What an OpenCV user types to upscale a picture, or a folder of them:

python benchmarks/opencv_upscale.py GRAPH.pb IN.png OUT.png
python benchmarks/opencv_upscale.py GRAPH.pb IN/ OUT/ .png
"""

import sys
from pathlib import Path

import cv2

graph, source, target, *ending = sys.argv[1:]
network = cv2.dnn_superres.DnnSuperResImpl_create()
network.readModel(graph)
network.setModel("fsrcnn", 2)
if not ending:
    cv2.imwrite(target, network.upsample(cv2.imread(source)))
else:
    for path in sorted(Path(source).iterdir()):
        cv2.imwrite(str(Path(target) / (path.stem + ending[0])), network.upsample(cv2.imread(str(path))))
