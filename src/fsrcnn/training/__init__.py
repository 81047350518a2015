"""From pictures to weights: prepare sub-images, train, record, go on after a kill.

`recipe` says what a run is, `data` what it reads, `contents` whether that is the same still; `loop` trains. Around the loop:
`place` (processes, device), `sources` and `batches`, `trainee` and `losses`, `optimizers` and `average`, `validation` and
`history`, `run_folder`, `record` and `events`; `sheets` measures and cures sparks
beside text. Prepared files: `sub_images` (how pictures are cut), `layouts`, `hdf5_writer`, `hdf5_reader`.
The loop needs PyTorch; `prepare` needs only h5py.
"""

from __future__ import annotations
