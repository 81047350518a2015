"""What a person's script does with the plugin, for test_vapoursynth.py: run by an interpreter that has VapourSynth, and nothing else.

    python vapoursynth_client.py PLUGIN JOBS.json

A job: format, width, height, frames (files of packed planes), properties (of each frame), arguments (of Upscale), and result, a
folder for what comes out. Prints a JSON list: for each job its size, format and the properties of its frames, or the error.
"""

import ctypes
import json
import sys
from pathlib import Path

import vapoursynth as vs

core = vs.core


def rows(frame, address):
    """(address, bytes) of each row of each plane."""
    for plane in range(frame.format.num_planes):
        across = frame.format.subsampling_w if plane else 0
        down = frame.format.subsampling_h if plane else 0
        width, height = frame.width >> across, frame.height >> down
        start = address(plane).value
        for row in range(height):
            yield start + row * frame.get_stride(plane), width * frame.format.bytes_per_sample


def clip_of(job):
    """A clip of frames from files."""
    blank = core.std.BlankClip(
        width=job["width"],
        height=job["height"],
        format=getattr(vs, job["format"]),
        length=len(job["frames"]),
        keep=False,
    )

    def filled(n, f):
        frame = f.copy()
        data, position = Path(job["frames"][n]).read_bytes(), 0
        for start, length in rows(frame, frame.get_write_ptr):
            ctypes.memmove(start, data[position : position + length], length)
            position += length
        assert position == len(data), "the file has another size than the frame"
        for name, value in job["properties"].items():
            frame.props[name] = value
        return frame

    return core.std.ModifyFrame(blank, blank, filled)


def done(job):
    try:
        clip = clip_of(job)
        if job.get("changing"):
            clip = core.std.Splice([clip, core.std.BlankClip(clip, width=2 * job["width"])], mismatch=True)
        larger = core.fsrcnn.Upscale(clip, **job["arguments"])
        frames = []
        for number, frame in enumerate(larger.frames(close=False)):
            packed = b"".join(ctypes.string_at(*row) for row in rows(frame, frame.get_read_ptr))
            Path(job["result"], str(number)).write_bytes(packed)
            properties = {name: value for name, value in frame.props.items() if isinstance(value, int)}
            frames.append({"names": sorted(frame.props), "properties": properties})
    except vs.Error as error:
        return {"error": str(error)}
    return {"size": [larger.height, larger.width], "format": larger.format.name, "frames": frames}


core.std.LoadPlugin(sys.argv[1])
print(json.dumps([done(job) for job in json.loads(Path(sys.argv[2]).read_text())]))
