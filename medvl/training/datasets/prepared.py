"""Images that were made ready for the encoder once: float16 volumes in shards, read through the page cache.

A folder that ``training.prepare`` writes: ``prepared.json`` says size and window; ``shard-00000.f16`` holds the volumes
``[N, D, H, W]``, ``shard-00000.slices`` key slices of structures (``native``) if they were asked for, and
``shard-00000.json`` what each is. A shard counts once its json is there, which is written last.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from .common import draw, load_json
from .native import damaged
from .samples import DatasetError, Native, Ready, Sample

INDEX = "prepared.json"
KEYS = ("size", "window", "kind", "split", "samples")


class Prepared(Sequence[Sample]):
    """A dataset whose samples know their ready image; those that have none are left out.

    Attributes:
        size: ``(D, H, W)`` of the images.
        window: they were made in.
        failed: why each scan that could not be read is left out, by id.
    """

    def __init__(self, folder: Path, samples: Sequence[Sample] = ()) -> None:
        """Open a folder.

        Args:
            folder: that ``training.prepare`` wrote.
            samples: of the dataset that it was made of; without them there are images only.

        Raises:
            DatasetError: it is none, or was made of another dataset.
        """
        self.folder = Path(folder)
        about = load_json(self.folder / INDEX, KEYS)
        self.size, self.window = tuple(about["size"]), about["window"]
        self.failed: dict[str, str] = {}
        self.images: dict[int, Ready] = {}
        for file in sorted(self.folder.glob("shard-*.json")):
            shard = json.loads(file.read_text())
            self.failed |= shard["failed"]
            for row, entry in enumerate(shard["images"]):
                place = entry.pop("place")
                where = entry.pop("native", None)
                native = Native(*where) if where else None
                values = {name: tuple(v) if isinstance(v, list) else v for name, v in entry.items()}
                count = len(shard["images"])
                self.images[place] = Ready(file.with_suffix(".f16"), row, count, self.size, **values, native=native)
        self._samples, self._places = samples, sorted(self.images)
        if samples and len(samples) != about["samples"]:
            raise DatasetError(
                f"{self.folder} was made of {about['samples']} samples of {about['kind']} and there are "
                f"{len(samples)} now. Prepare the dataset again."
            )

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override] - slices are not needed
        return self.draw(index)

    def draw(self, index: int, epoch: int = 0) -> Sample:
        """The sample as its dataset draws it, with its image."""
        place = self._places[index]
        return replace(draw(self._samples, place, epoch), ready=self.images[place])

    def check(self) -> Iterator[str]:
        """What is wrong with images, one line each; nothing where all bytes are those that were written."""
        for place in self._places:
            ready = self.images[place]
            try:
                image = ready.image()
            except DatasetError as error:
                yield str(error)
                continue
            if zlib.crc32(image.numpy().tobytes()) != ready.checksum:
                yield f"{ready.file.name}, image {ready.row}: its bytes are not those that were written."
            if ready.native is not None and damaged(ready.slices_file, ready.native):
                yield f"{ready.slices_file.name}, slices of image {ready.row}: not the bytes that were written."
