"""How well scans are laid over each other: copies moved by a known motion, and pairs of different bodies.

    python tests/benchmarks/registration.py --cases cases.json [--case ID ...] [--moves 3] [--pairs 10]

A copy is turned by up to 6 degrees about each axis, shifted by up to 40 mm, cut by up to a quarter of its length at one
end, resampled to another grid and given noise of 15 HU. The error is the distance in mm between where the motion that
was found and the true one put the voxels of the body, as a mean and as the largest. Refused pairs of different scans
are as it should be; moved copies that are refused are not. ``cases.json`` is a list of scans as
``medvl/evaluation/README.md`` describes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medvl.ct.geometry import SourceGeometry
from medvl.ct.registration import _image, register
from medvl.ct.volume import CTVolume
from medvl.errors import RegistrationError
from medvl.readers import read_ct

DEGREES, SHIFT_MM, CUT, NOISE_HU = 6.0, 40.0, 0.25, 15.0
BODY_HU = -300


def moved(ct: CTVolume, rng: np.random.Generator) -> tuple[CTVolume, np.ndarray]:
    """A moved, cut and resampled copy, and the motion from places of the scan to places of the copy, RAS mm."""
    turn = Rotation.from_euler("xyz", rng.uniform(-DEGREES, DEGREES, 3), degrees=True).as_matrix()
    centre = ct.ijk_to_ras_mm(np.array(ct.shape) / 2)
    motion = np.eye(4)
    motion[:3, :3] = turn
    motion[:3, 3] = centre - turn @ centre + rng.uniform(-SHIFT_MM, SHIFT_MM, 3)
    spacing = np.array([1.3, 1.3, max(2.5, ct.spacing_mm[2])])
    extent = np.array(ct.shape) * ct.spacing_mm
    cut = rng.uniform(0, CUT) * extent[2]
    shape = np.round((extent - (0, 0, cut)) / spacing).astype(int)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = motion[:3, :3] @ centre + motion[:3, 3] - spacing * shape / 2
    affine[2, 3] += rng.choice([-cut / 2, cut / 2])
    grid = _image(np.zeros(shape, np.int16), affine)
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    back = flip @ np.linalg.inv(motion) @ flip  # LPS, copy -> scan
    transform = sitk.AffineTransform(back[:3, :3].ravel().tolist(), back[:3, 3].tolist())
    image = sitk.Resample(_image(np.asarray(ct.hu), ct.affine), grid, transform, sitk.sitkLinear, -1000)
    hu = sitk.GetArrayFromImage(image).transpose(2, 1, 0) + rng.normal(0, NOISE_HU, shape)
    hu = np.asfortranarray(np.clip(hu, -1024, 3000).astype(np.int16))
    return CTVolume(hu, affine, SourceGeometry(hu.shape, affine)), motion


def error_mm(ct: CTVolume, found: np.ndarray, true: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Distances of the two motions at 5,000 voxels of the body."""
    body = np.argwhere(np.asarray(ct.hu)[::4, ::4, ::2] > BODY_HU) * (4, 4, 2)
    places = ct.ijk_to_ras_mm(body[rng.choice(len(body), min(5000, len(body)), replace=False)])
    difference = found - true
    return np.linalg.norm(places @ difference[:3, :3].T + difference[:3, 3], axis=1)


def main() -> None:
    """Print a line a copy, and one JSON object at the end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--case", nargs="+", default=None, help="ids; all by default")
    parser.add_argument("--moves", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=10)
    options = parser.parse_args()
    listed = {entry["id"]: entry["ct"] for entry in json.loads(options.cases.read_text(encoding="utf-8"))}
    ids = options.case or list(listed)
    rng = np.random.default_rng(0)
    means, largest, seconds, refused = [], [], [], 0
    scans = {}
    for case_id in ids:
        ct = scans[case_id] = read_ct(options.cases.parent / listed[case_id])
        for n in range(options.moves):
            copy, true = moved(ct, rng)
            begin = time.perf_counter()
            try:
                found = register(ct, copy)
            except RegistrationError as error:
                refused += 1
                print(case_id, n, "refused:", error, flush=True)
                continue
            seconds.append(time.perf_counter() - begin)
            far = error_mm(ct, found.matrix, true, rng)
            means.append(float(far.mean()))
            largest.append(float(far.max()))
            print(case_id, n, f"{means[-1]:.2f} mm, {largest[-1]:.2f} at most, {found.similarity:.3f}", flush=True)
    pairs = list(itertools.combinations(ids, 2))
    rng.shuffle(pairs)
    taken = []
    for a, b in pairs[: options.pairs]:
        try:
            taken.append((a, b, round(register(scans[a], scans[b]).similarity, 3)))
        except RegistrationError:
            continue
    told = {"copies": len(means) + refused, "refused": refused, "pairs": min(options.pairs, len(pairs)), "taken": taken}
    if means:
        told |= {
            "error_mm": {"median": round(float(np.median(means)), 2), "largest mean": round(max(means), 2)},
            "farthest_mm": round(max(largest), 2),
            "seconds": {"median": round(float(np.median(seconds)), 1), "most": round(max(seconds), 1)},
        }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
