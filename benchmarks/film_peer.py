"""The job of `fsrcnn video` by others' means, in one process: PyAV decodes, something enlarges to double size, PyAV's x264 encodes.

python benchmarks/film_peer.py THREADS IN OUT lanczos
python benchmarks/film_peer.py THREADS IN OUT openvino MODEL.onnx f32|bf16
python benchmarks/film_peer.py THREADS IN OUT vapoursynth MODEL.onnx f32|bf16
python benchmarks/film_peer.py THREADS IN OUT plugin fsrcnn.so MODEL exact|fast
python benchmarks/film_peer.py THREADS IN OUT opencv GRAPH.pb
"""

import sys

import av
import numpy as np


def lanczos(film, threads):
    """FFmpeg's own filter."""
    graph = av.filter.Graph()
    graph.threads = threads
    scale = graph.add("scale", "2*iw:2*ih:flags=lanczos")
    graph.link_nodes(graph.add_buffer(template=film.streams.video[0]), scale, graph.add("buffersink")).configure()
    for frame in film.decode(video=0):
        graph.vpush(frame)
        yield graph.vpull()


def openvino(film, threads, model, precision):
    """Luma by the network, from the decoder's plane to the encoder's; the rest by FFmpeg's bicubic filter."""
    import openvino

    options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    network = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    for frame in film.decode(video=0):
        larger = frame.reformat(2 * frame.width, 2 * frame.height, interpolation="BICUBIC")
        luma = network.infer({0: rows(frame)[None, None].astype(np.float32) / 255}, share_outputs=True)[0][0, 0]
        np.multiply(luma, 255, out=luma)
        np.rint(luma, out=luma)
        np.clip(luma, 0, 255, out=luma)
        rows(larger)[:] = luma
        larger.pts, larger.time_base = frame.pts, frame.time_base
        yield larger


def vapoursynth(film, threads, model, precision):
    """The same by VapourSynth's plugins: BestSource reads, vs-mlrt runs OpenVINO."""
    import vapoursynth as vs

    core = vs.core
    core.num_threads = threads
    clip = core.bs.VideoSource(film.name, threads=threads, cachemode=0)
    options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
    luma = core.resize.Point(core.std.ShufflePlanes(clip, 0, vs.GRAY), format=vs.GRAYS)
    larger = core.resize.Point(core.ov.Model(luma, network_path=model, config=lambda: options), format=vs.GRAY8)
    chroma = core.resize.Bicubic(clip, 2 * clip.width, 2 * clip.height)
    yield from shown_frames(core.std.ShufflePlanes([larger, chroma], [0, 1, 2], vs.YUV), film)


def plugin(film, threads, path, model, precision):
    """The same by our plugin for VapourSynth."""
    import vapoursynth as vs

    core = vs.core
    core.num_threads = threads
    core.std.LoadPlugin(path)
    clip = core.bs.VideoSource(film.name, threads=threads, cachemode=0)
    yield from shown_frames(core.fsrcnn.Upscale(clip, model, 2, precision), film)


def shown_frames(result, film):
    """The frames of VapourSynth's clip."""
    stream = film.streams.video[0]
    for number, shown in enumerate(result.frames(close=True)):
        frame = av.VideoFrame(result.width, result.height, "yuv420p")
        for plane in range(3):
            rows(frame, plane)[:] = np.asarray(shown[plane])
        frame.pts, frame.time_base = number, 1 / stream.average_rate
        yield frame


def opencv(film, threads, graph):
    """OpenCV's `dnn_superres`, which takes and gives B, G, R."""
    import cv2

    cv2.setNumThreads(threads)
    network = cv2.dnn_superres.DnnSuperResImpl_create()
    network.readModel(graph)
    network.setModel("fsrcnn", 2)
    for frame in film.decode(video=0):
        larger = av.VideoFrame.from_ndarray(network.upsample(frame.to_ndarray(format="bgr24")), "bgr24")
        larger.pts, larger.time_base = frame.pts, frame.time_base
        yield larger.reformat(format="yuv420p")


def rows(frame, plane=0):
    """A plane where it lies."""
    part = frame.planes[plane]
    return np.frombuffer(part, np.uint8).reshape(-1, part.line_size)[: part.height, : part.width]


WAYS = {way.__name__: way for way in (lanczos, openvino, vapoursynth, plugin, opencv)}

threads, source, target, name, *options = sys.argv[1:]
with av.open(source) as film, av.open(target, "w") as result:
    video = film.streams.video[0]
    video.thread_type, video.codec_context.thread_count = "AUTO", int(threads)
    stream = result.add_stream("libx264", rate=video.average_rate, options={"preset": "veryfast", "crf": "18"})
    stream.width, stream.height, stream.pix_fmt = 2 * video.width, 2 * video.height, "yuv420p"
    stream.codec_context.thread_count = int(threads)
    for frame in WAYS[name](film, int(threads), *options):
        frame.pict_type = 0
        result.mux(stream.encode(frame))
    result.mux(stream.encode(None))
