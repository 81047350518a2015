"""An ONNX graph made into TFLite by onnx2tf, and run: python benchmarks/tflite_peer.py MODEL.onnx PICTURES.npz RESULTS.npz

PICTURES has arrays (batch, height, width, channels), of any sizes; RESULTS gets what becomes of them, by the same names. Runs in an
environment of its own: `pip install onnx2tf tensorflow tf_keras onnx-graphsurgeon sng4onnx ai-edge-litert`.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx2tf
from ai_edge_litert.interpreter import Interpreter


def main(graph, pictures, results):
    with tempfile.TemporaryDirectory() as folder:
        onnx2tf.convert(graph, output_folder_path=folder, not_use_onnxsim=True, non_verbose=True)
        runtime = Interpreter(str(next(Path(folder).glob("*_float32.tflite"))), num_threads=1)
    (taken,), (given,) = runtime.get_input_details(), runtime.get_output_details()
    found = {}
    for name, lr in np.load(pictures).items():
        runtime.resize_tensor_input(taken["index"], lr.shape)
        runtime.allocate_tensors()
        runtime.set_tensor(taken["index"], lr)
        runtime.invoke()
        found[name] = runtime.get_tensor(given["index"])
    np.savez(results, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
