"""From pictures to weights: prepare sub-images, train, record, go on after a kill.

`recipe` says what a run is, `patches` and `hdf5` where its batches come from, `loop` trains, `optimizers` updates, `record` draws.
Imports PyTorch; `prepare` needs only h5py.
"""

from __future__ import annotations
