"""A Ray cluster of several nodes on this machine, each of 1 CPU, in a process of its own, whose lines of input are obeyed.

    python tests/ray_cluster.py 3

Prints its address; then, for each `add` and `remove`, when that is done. The end of the input ends it.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import ray
from ray.cluster_utils import Cluster

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


def main() -> None:
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    nodes = [cluster.add_node(**NODE) for _ in range(int(sys.argv[1]) - 1)]
    print(cluster.address, flush=True)
    try:
        for line in sys.stdin:
            if line == "add\n":
                nodes.append(cluster.add_node(**NODE))
            else:
                cluster.remove_node(nodes.pop(), allow_graceful=False)
            print("done", flush=True)
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
