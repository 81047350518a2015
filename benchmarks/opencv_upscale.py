"""What an OpenCV user types to upscale a picture: `python benchmarks/opencv_upscale.py GRAPH.pb IN.png OUT.png`."""

import sys

import cv2

graph, source, target = sys.argv[1:]
network = cv2.dnn_superres.DnnSuperResImpl_create()
network.readModel(graph)
network.setModel("fsrcnn", 2)
cv2.imwrite(target, network.upsample(cv2.imread(source)))
