"""Players that run user shaders, without a display and without a GPU: ffmpeg's libplacebo on lavapipe, mpv under Xvfb.

Mesa's software drivers are chosen by the environment, so a GPU of the machine is neither used nor needed, and nothing is read from, or
written to, a home.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fsrcnn import images
from fsrcnn.arrays import Array

DRIVERS = [
    found
    for folder in ("/usr/share", "/usr/local/share", "/etc")
    for found in sorted(Path(folder, "vulkan/icd.d").glob("lvp_icd*.json"))
]
MESA_EGL = Path("/usr/share/glvnd/egl_vendor.d/50_mesa.json")
SAMPLES = {"yuv444p": np.uint8, "yuv444p10le": np.uint16, "yuv444p16le": np.uint16}
SECONDS = 300  # that a player may take on a busy machine; a software driver compiles for seconds

needs_libplacebo = pytest.mark.skipif(
    shutil.which("ffmpeg") is None or not DRIVERS,
    reason="needs ffmpeg with libplacebo and a software Vulkan: apt-get install ffmpeg mesa-vulkan-drivers",
)
needs_mpv = pytest.mark.skipif(
    not all(map(shutil.which, ("mpv", "xvfb-run", "Xvfb", "xauth"))) or not MESA_EGL.exists(),
    reason="needs mpv, and a display without a screen: apt-get install mpv xvfb xauth libegl-mesa0",
)


def environment(home: Path) -> dict[str, str]:
    """Of a player: Mesa's software drivers, and a home of its own."""
    drivers = ":".join(map(str, DRIVERS))
    return {
        **os.environ,
        "VK_ICD_FILENAMES": drivers,
        "VK_DRIVER_FILES": drivers,
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "__EGL_VENDOR_LIBRARY_FILENAMES": str(MESA_EGL),
        "__GLX_VENDOR_LIBRARY_NAME": "mesa",
        "MESA_SHADER_CACHE_DISABLE": "1",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "LC_ALL": "C",
    }


def libplacebo(
    shader: Path, luma: Array, height: int, width: int, given: str = "yuv444p", wanted: str = "yuv444p"
) -> Array:
    """Luma through ffmpeg's libplacebo with a user shader; its chroma is grey.

    Args:
        shader: its file.
        luma: (h, w) in `given`, studio swing.
        height, width: of the result.
        given, wanted: pixel formats.

    Returns:
        (height, width) luma in `wanted`.
    """
    grey = np.full((2, *luma.shape), 512 if given == "yuv444p10le" else 128, luma.dtype)
    enlarged = f"libplacebo=w={width}:h={height}:custom_shader_path={shader}:dithering=none:format={wanted}"
    chain = f"format={given},hwupload,{enlarged},hwdownload,format={wanted}" if _must_upload() else enlarged
    command = [
        *("ffmpeg", "-v", "error", "-init_hw_device", "vulkan=vk:0", "-filter_hw_device", "vk"),
        *("-f", "rawvideo", "-pix_fmt", given, "-s", f"{luma.shape[1]}x{luma.shape[0]}", "-i", "-"),
        *("-vf", chain, "-f", "rawvideo", "-pix_fmt", wanted, "-"),
    ]  # fmt: skip
    ran = subprocess.run(
        command,
        input=luma.tobytes() + grey.tobytes(),
        capture_output=True,
        env=environment(shader.parent),
        timeout=SECONDS,
        check=False,
    )
    if b"No such filter: 'libplacebo'" in ran.stderr:
        pytest.skip("this ffmpeg has no libplacebo: apt-get install ffmpeg")
    assert (ran.returncode, ran.stderr) == (0, b"")
    planes: Array = np.frombuffer(ran.stdout, SAMPLES[wanted])
    return planes[: height * width].reshape(height, width)


@functools.cache
def _must_upload() -> bool:
    """Whether libplacebo takes frames on the device only, as in ffmpeg 5.1; that of 7.1 takes any."""
    said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout
    version = re.match(r"ffmpeg version \D*(\d+)", said)
    return version is not None and int(version[1]) < 7


def mpv(shader: Path, luma: Array, height: int, width: int, options: Sequence[str]) -> tuple[Array, str]:
    """A plane shown by mpv in a window with a user shader, read back as a screenshot of the window.

    Args:
        shader: its file.
        luma: (h, w) of 8 bit, studio swing.
        height, width: of the window.
        options: of mpv: its output and the like.

    Returns:
        (height, width) luma in [0, 1] as the film's samples have it (16 is 16/255), and what mpv said.
    """
    folder = shader.parent
    film, script, shot = folder / "film.y4m", folder / "shot.lua", folder / "shot.png"
    film.write_bytes(
        f"YUV4MPEG2 W{luma.shape[1]} H{luma.shape[0]} F25:1 Ip A1:1 Cmono\nFRAME\n".encode() + luma.tobytes()
    )
    script.write_text(
        'mp.register_event("playback-restart", function() mp.add_timeout(0.2, function()\n'
        f'mp.commandv("screenshot-to-file", "{shot}", "window") mp.commandv("quit") end) end)\n'
    )
    command = [
        *("xvfb-run", "-a", "-s", "-screen 0 1280x800x24"),
        *("mpv", "--no-config", "--no-audio", "--no-osc", "--gpu-context=x11egl", "--gpu-sw", "--keep-open=yes", "--dither=no"),
        *(f"--geometry={width}x{height}", "--screenshot-high-bit-depth=yes", "--screenshot-tag-colorspace=no"),
        *(f"--script={script}", f"--glsl-shaders={shader}", *options, str(film)),
    ]  # fmt: skip
    shot.unlink(missing_ok=True)
    ran = subprocess.run(
        command, capture_output=True, env=environment(folder), timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
    )
    said = (ran.stdout + ran.stderr).decode(errors="replace")
    assert ran.returncode == 0, said
    assert shot.exists(), said
    pixels = images.read(shot).pages[0]
    shown = pixels[:, :, 0].astype(np.float64) / np.iinfo(pixels.dtype).max
    assert shown.shape == (height, width), said
    return (16 + 219 * shown) / 255, said
