"""``python -m medvl.training prepare``: a published dataset's scans once through the encoder's preprocessing.

Reading, windowing, cropping and resampling a CT takes a core seconds; a prepared image is a copy of 17 MB. Each process
makes whole shards; one that was begun and not finished is made anew, finished ones stay. What was said of a scan and
its masks are read from the dataset as before; of masks that SAM 2 learns, key slices are written beside the images.
"""

from __future__ import annotations

import json
import logging
import os
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import astuple
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

import torch

from ..errors import MedVLError
from .datasets import native, open_dataset
from .datasets.prepared import INDEX, KEYS, Prepared
from .datasets.samples import DatasetError, Image, Sample, Turn, read_image
from .datasets.total_segmentator import sources
from .vlm.dataset import TrainingSet

logger = logging.getLogger(__name__)


def prepare(
    kind: str,
    root: Path,
    output: Path,
    split: str = "train",
    size: tuple[int, int, int] = (128, 256, 256),
    window: str = "soft",
    workers: int = 2,
    shard: int = 16,
    slices: int = 0,
) -> Prepared:
    """Make the images of a dataset ready; what is there already stays.

    Args:
        kind: see ``datasets.KINDS``.
        root: of the dataset.
        output: the folder that is written.
        split: of the dataset.
        size: ``(D, H, W)``.
        window: a name in ``ct.windows.WINDOWS``.
        workers: processes.
        shard: images a file.
        slices: of each structure that has a mask, at the resolution of the scan; 0: none.

    Returns:
        What is in the folder; ``failed`` says which scans could not be read.

    Raises:
        DatasetError: the dataset has another layout, or the folder holds another one's images.
    """
    samples = open_dataset(kind, root, split)
    about = {"size": list(size), "window": window, "kind": kind, "split": split, "samples": len(samples)}
    about |= {"shard": shard, "slices": slices}
    output.mkdir(parents=True, exist_ok=True)
    index = output / INDEX
    if index.exists() and (there := json.loads(index.read_text())) != about:
        differ = [f"{key} {there.get(key)}" for key in (*KEYS, "shard", "slices") if there.get(key) != about[key]]
        raise DatasetError(f"{output} holds images made with {', '.join(differ)}. Give another folder, or the same.")
    index.write_text(json.dumps(about, indent=1) + "\n")
    starts = range(0, len(samples), shard)
    todo = [n for n, _ in enumerate(starts) if not _finished(output, n, slices > 0)]
    logger.info("%s: %d of %d shards to make, %d samples", kind, len(todo), len(starts), len(samples))
    begin = time.monotonic()
    jobs = [(kind, str(root), str(output), split, tuple(size), window, n, shard, slices) for n in todo]
    if workers < 2:
        for done, job in enumerate(jobs, start=1):
            _told(make_shard(*job), done, len(jobs), begin)
    else:
        # Not forked: PyTorch's threads do not live on in a forked process.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
            for done, job in enumerate(as_completed([pool.submit(make_shard, *job) for job in jobs]), start=1):
                _told(job.result(), done, len(jobs), begin)
    return Prepared(output, samples)


def make_shard(
    kind: str,
    root: str,
    output: str,
    split: str,
    size: tuple[int, int, int],
    window: str,
    number: int,
    shard: int,
    slices: int = 0,
) -> dict[str, str]:
    """One shard, written under another name until it is whole; see ``prepare``.

    Returns:
        Why each scan that could not be read is left out, by id.
    """
    samples = _opened(kind, root, split)
    maker = TrainingSet(samples, size, window=window)
    file = Path(output) / f"shard-{number:05d}.f16"
    part = file.with_name(f".{file.name}.{os.getpid()}")
    cut = part.with_suffix(".slices")
    images, failed = [], {}
    try:
        with part.open("wb") as out, cut.open("wb") if slices else nullcontext() as beside:
            for place in range(number * shard, min((number + 1) * shard, len(samples))):
                sample = bare(samples, place)
                try:
                    image = Image(*read_image(sample))
                    seen, low, high = maker.see(sample, image)
                    where = _slices(beside, samples, place, sample, image, slices) if slices else None
                except (MedVLError, OSError, ValueError, EOFError) as error:
                    failed[sample.id] = str(error)
                    continue
                data = seen.half().numpy().tobytes()
                out.write(data)
                images.append(
                    {
                        "place": place,
                        "window": window if sample.scale == "hu" else "",
                        "shape": [int(n) for n in image.shape],
                        "affine": [float(v) for v in image.affine.ravel()],
                        "low": [int(v) for v in low],
                        "high": [int(v) for v in high],
                        "checksum": zlib.crc32(data),
                        "native": where,
                    }
                )
            for written in (out, beside) if slices else (out,):
                written.flush()
                os.fsync(written.fileno())
        part.replace(file)
        if slices:
            cut.replace(file.with_suffix(".slices"))
        listed = part.with_suffix(".json")
        listed.write_text(json.dumps({"images": images, "failed": failed}))
        listed.replace(file.with_suffix(".json"))
    finally:
        part.unlink(missing_ok=True)
        cut.unlink(missing_ok=True)
    return failed


def bare(samples: Sequence[Sample], place: int) -> Sample:
    """A sample's scan, without what is said of it where that would read masks."""
    record = samples.records[place] if hasattr(samples, "records") else None
    if isinstance(record, Path):  # TotalSegmentator's cases
        return Sample(record.name, record / "ct.nii.gz", (Turn("", ""),))
    return samples[place]


def _slices(
    out: BinaryIO, samples: Sequence[Sample], place: int, sample: Sample, image: Image, count: int
) -> tuple[int, ...]:
    """Key slices of all masks of a sample, whatever is asked about it in an epoch; where they are."""
    record = samples.records[place] if hasattr(samples, "records") else None
    masks = sources(record) if isinstance(record, Path) else sample.masks
    begin = out.tell()
    try:
        named = ((name, source.mask(image)) for name, source in masks.items())
        return astuple(native.write(out, native.Cutter(image, sample.scale), named, count))
    except BaseException:
        out.seek(begin)  # a mask that cannot be read: the sample is left out
        out.truncate()
        raise


@lru_cache(maxsize=1)
def _opened(kind: str, root: str, split: str) -> Sequence[Sample]:
    return open_dataset(kind, root, split)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _finished(output: Path, number: int, slices: bool) -> bool:
    """Whether a shard is there whole and nothing of it failed; what failed is tried again."""
    file = output / f"shard-{number:05d}.json"
    whole = file.with_suffix(".f16").exists() and (not slices or file.with_suffix(".slices").exists())
    return file.exists() and whole and not json.loads(file.read_text())["failed"]


def _told(failed: dict[str, str], done: int, count: int, begin: float) -> None:
    left = (time.monotonic() - begin) / done * (count - done)
    logger.info("shard %d of %d, about %.0f min left", done, count, left / 60)
    for id, reason in failed.items():
        logger.warning("left out: %s: %s", id, reason)
