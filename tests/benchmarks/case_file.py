"""Saving and reopening a case of 512 x 512 x 300 with ten masks, each with a history: seconds and megabytes.

    python tests/benchmarks/case_file.py [--shape 512 512 300] [--masks 10] [--steps 3]

The scan is that of ``scroll.py``; the masks are ellipsoids of organ size with a rough surface. Opening counts from the
file to a case that answers, with its scan from the file or at hand.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from scroll import stretched

import medvl
from medvl.ct.masks import Mask


def rough(shape: tuple[int, int, int], n: int, step: int) -> Mask:
    """An ellipsoid whose surface differs from voxel to voxel and from step to step."""
    centre = np.array(shape) * (0.25 + 0.05 * n, 0.5, 0.5)
    half = (np.array(shape) * 0.13).astype(int)
    lo, hi = np.maximum(0, centre.astype(int) - half), np.minimum(shape, centre.astype(int) + half)
    grid = np.ogrid[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))]
    far = sum(((g - c) / h) ** 2 for g, c, h in zip(grid, centre, half, strict=True))
    noise = np.random.default_rng([n, step]).normal(0, 0.02, far.shape)
    box = medvl.Box(tuple(int(v) for v in lo), tuple(int(v) for v in hi))
    return Mask.from_block(shape, box, far + noise < 0.95, id="", name=f"Object {n}")


def clock() -> np.ndarray:
    """Now, and the seconds of a core that this process and the readers it started have had."""
    used = os.times()
    return np.array([time.perf_counter(), used.user + used.system + used.children_user + used.children_system])


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 300))
    parser.add_argument("--masks", type=int, default=10)
    parser.add_argument("--steps", type=int, default=3, help="steps of each mask's history")
    options = parser.parse_args()
    model = medvl.load("nano")
    ct = stretched(tuple(options.shape))
    case = model.open(ct)
    for n in range(options.masks):
        mask = case.put(rough(ct.shape, n, 0))
        for step in range(1, options.steps):
            case.put(mask.with_array(rough(ct.shape, n, step).array))
    result: dict = {"shape": list(ct.shape), "masks": options.masks, "steps": options.steps}
    with tempfile.TemporaryDirectory() as folder:
        for scan in (False, True):
            path = Path(folder) / f"{scan}.medvl.zip"
            times = [clock()]
            case.save(path, scan=scan)
            times.append(clock())
            again = medvl.open_case(path, None if scan else ct, model=model)
            times.append(clock())
            same = all(np.array_equal(again.masks[id].block, mask.block) for id, mask in case.masks.items())
            again.close()
            key = "with the scan" if scan else "masks alone"
            (save, save_cpu), (opening, opening_cpu) = (b - a for a, b in itertools.pairwise(times))
            told = {"save_s": save, "save_cpu_s": save_cpu, "open_s": opening, "open_cpu_s": opening_cpu}
            told = {name: round(float(value), 2) for name, value in told.items()}
            result[key] = told | {"mb": round(path.stat().st_size / 1e6, 1), "same": same}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
