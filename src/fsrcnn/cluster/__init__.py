"""Many pictures on many machines: the jobs of `batch.py`, handed to the workers of a Ray cluster.

`connection.py` joins or starts a cluster, `worker.py` is what runs on its machines, `handing_out.py` gives them work and takes its
outcomes back, whatever dies meanwhile.
"""

from __future__ import annotations

from fsrcnn.cluster.handing_out import TaskSize, run_all
from fsrcnn.cluster.worker import Recipe

__all__ = ["Recipe", "TaskSize", "run_all"]
