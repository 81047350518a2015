"""What people put around OpenCV's upscaler, with FSRCNN_GRAPH=FSRCNN_x2.pb: `uvicorn fastapi_upscale:app`

`POST /upscale` is a FastAPI demo: a `def` with an UploadFile, run in one of Starlette's threads. `POST /api/upscale` is built as
rembg's server: an `async def` that takes the bytes, gives the work to a thread and answers a PNG. OpenCV's network is made for one
thread at a time, so both hold a lock, which many demos forget.
"""

import os
import threading

import cv2
import numpy as np
from fastapi import FastAPI, File, UploadFile
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

network = cv2.dnn_superres.DnnSuperResImpl_create()
network.readModel(os.environ["FSRCNN_GRAPH"])
network.setModel("fsrcnn", 2)
lock = threading.Lock()
app = FastAPI()


def enlarged(data: bytes) -> bytes:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    with lock:
        larger = network.upsample(picture)
    return cv2.imencode(".png", larger)[1].tobytes()


@app.post("/upscale")
def demo(file: UploadFile) -> Response:
    return Response(enlarged(file.file.read()), media_type="image/png")


@app.post("/api/upscale")
async def as_rembg(file: bytes = File()) -> Response:
    return Response(await run_in_threadpool(enlarged, file), media_type="image/png")
