"""How fast prepared images reach a training stage, beside the scans themselves.

    python -m tests.benchmarks.loading [--scans 24] [--workers 2] [--shape 256 256 120]

Makes scans in the layout of TotalSegmentator, prepares them at 128x256x256, and reads both through the stages' loader:
samples a second after the first batches, seconds of processor a sample (of all processes, whatever else the machine
does), and the memory of each worker.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil

from medvl.training.config import parse
from medvl.training.datasets.samples import Sample, Turn
from medvl.training.prepare import prepare
from medvl.training.vlm import feed

SIZE = (128, 256, 256)


class Scans:
    """The cases as samples that ask nothing of masks."""

    def __init__(self, found) -> None:
        self.found = found

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index):
        return self.found[index]


def write(root: Path, count: int, shape: tuple[int, int, int]) -> None:
    """Cases of noise in a body; one file in four is written, the others are copies of it."""
    rng = np.random.default_rng(0)
    for number in range(count):
        folder = root / f"s{number:04d}"
        (folder / "segmentations").mkdir(parents=True)
        if number % 4 == 0:
            hu = np.full(shape, -1000, np.int16)
            hu[8:-8, 8:-8] = rng.normal(40, 30, (shape[0] - 16, shape[1] - 16, shape[2])).astype(np.int16)
            nib.save(nib.Nifti1Image(hu, np.diag([1.5, 1.5, 1.5, 1.0])), folder / "ct.nii.gz")
        else:
            (folder / "ct.nii.gz").write_bytes((root / f"s{number - number % 4:04d}" / "ct.nii.gz").read_bytes())
    rows = "".join(f"s{n:04d};train\n" for n in range(count))
    (root / "meta.csv").write_text(f"image_id;split\n{rows}")


def processor() -> float:
    """Seconds of processor that this process and its workers have used."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(sum(p.cpu_times()[:2]) for p in processes)


def speed(samples, workers: int, batches: int) -> tuple[float, float, list[float]]:
    """Samples a second over batches of two after the first, seconds of processor a sample, MB of each worker."""
    config = parse({"output": "unused", "data": {"augment": False, "workers": workers}})
    given = feed.Feed(Scans(samples), config, SIZE, lambda item, rng: [], True)
    stream = iter(feed.loader(given, feed.Order(len(samples), 2, 0, 0, 1), workers))
    for _ in range(2 * workers):
        next(stream)
    begin, used = time.perf_counter(), processor()
    for _ in range(batches):
        next(stream)
    seconds, used = time.perf_counter() - begin, processor() - used
    memory = [p.memory_full_info().uss / 1e6 for p in psutil.Process().children(recursive=True)]
    return 2 * batches / seconds, used / (2 * batches), sorted(memory)[-workers:]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shape", type=int, nargs=3, default=(256, 256, 120))
    options = parser.parse_args()
    print(f"load of the machine before: {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        write(root, options.scans, tuple(options.shape))
        begin = time.perf_counter()
        ready = prepare("total-segmentator", root, Path(folder) / "ready", size=SIZE, workers=options.workers, shard=8)
        print(f"prepared: {options.scans / (time.perf_counter() - begin):.2f} scans/s", flush=True)
        plain = [Sample(f.parent.name, f, (Turn("", ""),)) for f in sorted(root.glob("*/ct.nii.gz"))]
        ready = [
            Sample(s.id, s.ct, s.turns, ready=ready.images[place])
            for place, s in zip(sorted(ready.images), plain, strict=True)
        ]
        for name, samples, batches in (("prepared", ready, 60), ("scans themselves", plain, 6)):
            rate, used, memory = speed(samples, options.workers, batches)
            said = f"{name}: {rate:.1f} samples/s, {1000 * used:.0f} ms of processor a sample"
            print(f"{said}, worker {max(memory):.0f} MB", flush=True)


if __name__ == "__main__":
    main()
