"""Films: every stream kept, every time, the picture larger. Needs PyAV: `pip install 'fsrcnn[video]'`.

    from fsrcnn import video
    video.upscale("film.mkv", "large.mkv")                       # x264; sound, subtitles, chapters are copied
    for frame in video.frames("film.mkv"):                       # av.VideoFrame, upscaled
        ...

Each concept has a file: `source` opens, `enlargement` makes frames larger, `comparison` sets them beside others, `segments` survives
a kill, `streams` and `mux` bring the rest along, `snapshot` shows one frame.
"""

from __future__ import annotations

from fsrcnn.video.library import FilmError
from fsrcnn.video.snapshot import Preview, preview
from fsrcnn.video.upscaling import Done, Progress, earlier, frames, to_y4m, upscale, upscaler_for_films

__all__ = [
    "Done", "FilmError", "Preview", "Progress", "earlier", "frames", "preview", "to_y4m", "upscale", "upscaler_for_films",
]  # fmt: skip
