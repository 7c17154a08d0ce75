"""What every dataset reader gives and every training stage takes: a CT with what is said about it.

A ``Sample`` holds file names and words only. Voxels are read when they are asked for (``read_image``, ``read_masks``),
in closest RAS+ like everywhere in this package, so that a list of a hundred thousand samples stays small.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, reduce
from math import prod
from pathlib import Path
from typing import Literal, Protocol

import nibabel as nib
import numpy as np
import torch
from scipy import ndimage, sparse

from ...ct.geometry import to_canonical
from ...ct.mask_operations import union
from ...ct.masks import Mask
from ...errors import CTReadError, MedVLError
from ...readers import read_ct

SEG = "[SEG]"
Kind = Literal[
    "", "caption", "report", "open_vqa", "closed_vqa", "semantic", "referring", "absent", "measured", "presence"
]
SEGMENTING = ("semantic", "referring", "absent")
"""Kinds of turns that speak of structures only: true of any part of the scan that holds these structures."""


class DatasetError(MedVLError):
    """A dataset folder has another layout than the published one, or a file of it is damaged."""


class NothingToAsk(DatasetError):  # noqa: N818 - training goes on with the next sample
    """A scan whose labels are all empty, fragments or of unknown extent."""


@dataclass(frozen=True)
class Turn:
    """One question and its answer.

    Attributes:
        question: what is asked.
        answer: holds one ``[SEG]`` per name in ``targets``, in order; none where nothing is to be segmented.
        targets: keys of ``Sample.masks``, one per ``[SEG]``.
        kind: what sort of question it is.
        about: keys of ``Sample.masks`` that the answer speaks of without a ``[SEG]`` (a volume, "is there a liver").
    """

    question: str
    answer: str
    targets: tuple[str, ...] = ()
    kind: Kind = ""
    about: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.answer.count(SEG) != len(self.targets):
            raise DatasetError(
                f"The answer {self.answer!r} holds {self.answer.count(SEG)} {SEG} and the turn names "
                f"{len(self.targets)} targets: there must be one {SEG} for each target."
            )


class Grid(Protocol):
    """A voxel grid: a ``CTVolume``, or anything else with a shape and an affine."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along i, j, k."""

    @property
    def affine(self) -> np.ndarray:
        """``(4, 4)``, voxel -> RAS mm."""


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """A grid without voxels.

    Attributes:
        shape: voxels along i, j, k, closest RAS+.
        affine: ``(4, 4)``, voxel -> RAS mm.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray


@dataclass(frozen=True, eq=False)
class Image:
    """Voxels and where they lie.

    Attributes:
        array: ``(i, j, k)`` closest RAS+; int16 HU, or float32 0..1 for ``scale`` ``"unit"``.
        affine: float64 ``(4, 4)``, voxel -> RAS mm.
    """

    array: np.ndarray
    affine: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along i, j, k."""
        return self.array.shape


@dataclass(frozen=True)
class MaskSource:
    """Where the mask of one structure is stored.

    Attributes:
        file: NIfTI label map, or an array in ``.npy`` or (scipy sparse) ``.npz``.
        values: label values that belong to the structure; empty: every value but 0.
        channel: first index into an array of one channel a class; None: a label map.
        axes: of arrays: body direction in which each of the three axes grows, "SPL" for depth from the feet, rows
            from the front and columns from the patient's right.
        shape: of the sparse matrix of an ``.npz``, ``(channels, a, b, c)``.
        parts: more sources whose voxels belong to the structure too (the lobes of a lung).
    """

    file: Path
    values: tuple[int, ...] = ()
    channel: int | None = None
    axes: str = "RAS"
    shape: tuple[int, int, int, int] | None = None
    parts: tuple[MaskSource, ...] = ()

    def read(self, ct: Grid) -> np.ndarray:
        """The mask, bool ``(i, j, k)`` RAS+ on the grid of the CT.

        A label map on another grid (a resampled or cropped copy of the scan) is laid onto the CT's by its affine, each
        voxel by the nearest label. An array without an affine must have the CT's shape.

        Raises:
            DatasetError: the file is missing or unreadable, or its grid cannot be that of the CT.
        """
        return self.mask(ct).array

    def mask(self, ct: Grid) -> Mask:
        """``read``, cropped to the object."""
        return _on_grid(self, tuple(ct.shape), np.asarray(ct.affine, np.float64).tobytes())


@dataclass(frozen=True)
class Native:
    """Where the slices of a scan are in a file of ``native``.

    Attributes:
        start: first byte.
        length: bytes.
        index: bytes of the index at their end.
        count: slices of a structure, at most.
        checksum: CRC-32 of them.
    """

    start: int
    length: int
    index: int
    count: int
    checksum: int


@dataclass(frozen=True)
class Ready:
    """One image that is ready.

    Attributes:
        file: of the shard.
        row: in it.
        rows: of the shard.
        size: ``(D, H, W)`` of the image.
        window: that it was made in; "" where it was windowed by whoever published it.
        shape: voxels of the scan along i, j, k.
        affine: of the scan, 16 values.
        low: first voxel of the part of the scan that is shown.
        high: one past its last voxel.
        checksum: CRC-32 of its bytes.
        native: the scan's key slices in ``slices_file``; None: they were not made ready.
    """

    file: Path
    row: int
    rows: int
    size: tuple[int, int, int]
    window: str
    shape: tuple[int, int, int]
    affine: tuple[float, ...]
    low: tuple[int, int, int]
    high: tuple[int, int, int]
    checksum: int
    native: Native | None = None

    @property
    def slices_file(self) -> Path:
        """Key slices of the shard's scans."""
        return self.file.with_suffix(".slices")

    @property
    def grid(self) -> VoxelGrid:
        """Of the scan."""
        return VoxelGrid(self.shape, np.array(self.affine, np.float64).reshape(4, 4))

    def image(self) -> torch.Tensor:
        """``[1, D, H, W]`` float16, mapped from the file: what is written into it stays in this process.

        Of this image alone, since a worker sends on all that a tensor's storage holds.

        Raises:
            DatasetError: the shard is missing or shorter than it was.
        """
        count = prod(self.size)
        try:
            if self.file.stat().st_size != 2 * self.rows * count:  # a map of what is not there ends the process
                raise OSError
            image = np.memmap(self.file, np.float16, "c", 2 * self.row * count, (1, *self.size))
        except OSError:
            raise DatasetError(f"{self.file} is missing or damaged. Prepare the dataset again.") from None
        return torch.from_numpy(image)


@dataclass(frozen=True)
class Sample:
    """One CT with what is said about it.

    Attributes:
        id: unique in its dataset.
        ct: the file, as ``medvl.read_ct`` takes it, or a ``.npy`` array, or a folder of numbered pictures.
        turns: questions and answers, one or more.
        captions: texts for the image-text contrastive stage.
        masks: structure -> where its mask is stored.
        scale: ``"hu"``: Hounsfield units; ``"unit"``: 0..1, windowed and scaled by whoever published it.
        axes: of arrays and pictures, see ``MaskSource.axes``; a volume with an affine has its own.
        ready: the image as ``training.prepare`` made it; None: it is made of ``ct``.
    """

    id: str
    ct: Path
    turns: tuple[Turn, ...]
    captions: tuple[str, ...] = ()
    masks: Mapping[str, MaskSource] = field(default_factory=dict)
    scale: Literal["hu", "unit"] = "hu"
    axes: str = "SPL"
    ready: Ready | None = None

    def __post_init__(self) -> None:
        if not self.turns:
            raise DatasetError(f"Sample {self.id!r} has no question and answer: a reader must give at least one.")
        named = {name for turn in self.turns for name in (*turn.targets, *turn.about)}
        if missing := sorted(named - set(self.masks)):
            raise DatasetError(f"Sample {self.id!r} speaks of {', '.join(missing)} and has no mask of that name.")

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the masks that its answers point at with ``[SEG]``, each once, in order."""
        return tuple(dict.fromkeys(name for turn in self.turns for name in turn.targets))


def read_image(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Voxels of a sample's CT.

    Returns:
        ``(i, j, k)`` closest RAS+, int16 HU or (``scale`` "unit") float32 0..1, and the affine ``(4, 4)`` to RAS mm.
        An array without an affine gets voxels of 1 mm: its true spacing is not published.

    Raises:
        DatasetError: the file is missing or is no volume.
    """
    path = sample.ct
    if not path.exists():
        raise DatasetError(f"{path} is missing: sample {sample.id!r} needs it. Download or prepare it again.")
    if path.suffix == ".npy" or (path.is_dir() and pictures(path)):
        array = _volume(np.load(path, mmap_mode="r"), path) if path.suffix == ".npy" else _stack(path)
        array, affine = to_canonical(array, axes_affine(sample.axes))
        array = np.ascontiguousarray(array, np.float32)
        # M3D-Seg as downloaded is a z-score; its own preparation scales it to 0..1 in this way.
        return (_unit(array) if array.min() < 0 or array.max() > 1 else array), affine
    if sample.scale == "unit":  # read_ct gives whole HU and would round 0..1 away
        image = nib.load(path)
        affine = image.affine if image.header["sform_code"] or image.header["qform_code"] else axes_affine("RAS")
        array, affine = to_canonical(_volume(np.asarray(image.dataobj), path), affine)
        return np.ascontiguousarray(array, np.float32), affine
    try:
        volume = read_ct(path)
    except CTReadError as error:
        raise DatasetError(f"{path}: {error}") from error
    return volume.hu, volume.affine


def grid_of(sample: Sample) -> VoxelGrid:
    """The grid that ``read_image`` would give, of a ``.npy`` array or a NIfTI: from the header only."""
    if sample.ct.suffix == ".npy":
        shape, affine = np.load(sample.ct, mmap_mode="r").shape[-3:], axes_affine(sample.axes)
    else:
        image = nib.load(sample.ct)
        shape, affine = image.shape[:3], image.affine
    # An array of zero strides: reorienting it costs nothing and gives the shape.
    array, affine = to_canonical(np.broadcast_to(np.zeros(1, np.uint8), shape), affine)
    return VoxelGrid(array.shape, affine)


def read_masks(sample: Sample, ct: Grid, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Masks of a sample, bool ``(i, j, k)`` on the grid of its CT; those that its answers point at if not named."""
    return {name: sample.masks[name].read(ct) for name in (sample.wanted if names is None else names)}


def axes_affine(axes: str) -> np.ndarray:
    """Affine ``(4, 4)`` of an array whose axes grow in these directions of the body, with voxels of 1 mm."""
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, direction in enumerate(axes):
        row = next(i for i, pair in enumerate(("LR", "PA", "IS")) if direction in pair)
        affine[row, axis] = 1 if direction in "RAS" else -1
    return affine


def pictures(folder: Path) -> list[Path]:
    """Numbered pictures of a folder (``0.png``, ``1.jpeg`` ...), in their order."""
    files = [f for f in folder.iterdir() if f.suffix.lower() in (".png", ".jpeg", ".jpg") and f.stem.isdigit()]
    return sorted(files, key=lambda f: int(f.stem))


def _stack(folder: Path) -> np.ndarray:
    """Grey pictures as ``[slices, rows, columns]``, 0..1; of several sizes the most common one counts, as in M3D."""
    from PIL import Image as Picture

    # An indexed picture with transparency has to pass through RGBA, else its grey values are those of the palette.
    opened = [Picture.open(file) for file in pictures(folder)]
    grey = [np.asarray((p.convert("RGBA") if p.mode == "P" else p).convert("L"), np.float32) / 255 for p in opened]
    shapes = [g.shape for g in grey]
    shape = max(shapes, key=shapes.count)
    return _unit(np.stack([g for g in grey if g.shape == shape]))


def _unit(array: np.ndarray) -> np.ndarray:
    low = float(array.min())
    return (array - low) / max(float(array.max()) - low, 1e-8)


def _volume(array: np.ndarray, path: Path) -> np.ndarray:
    """``[a, b, c]`` of an array with or without one leading channel."""
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3:
        raise DatasetError(f"{path} holds an array of shape {array.shape}; one volume [a, b, c] is expected.")
    return array


@lru_cache(maxsize=2)
def label_map(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Values ``(i, j, k)`` RAS+ and affine of a NIfTI label map; two are kept, for maps that hold many structures.

    Raises:
        DatasetError: the file is missing or damaged.
    """
    if not file.exists():
        raise DatasetError(f"The label file {file} is missing. Download or prepare it again.")
    try:
        image = nib.load(file)
        array = np.asarray(image.dataobj)
    except Exception as error:  # nibabel, gzip and numpy raise many kinds for a damaged file
        raise DatasetError(f"{file} is no readable NIfTI label map ({error}). Download it again.") from error
    if array.dtype.kind == "f":
        array = np.rint(array).astype(np.int32)
    array, affine = to_canonical(_volume(array, file), image.affine)
    return array, affine


def _select(array: np.ndarray, values: tuple[int, ...]) -> np.ndarray:
    return array != 0 if not values else array == values[0] if len(values) == 1 else np.isin(array, values)


@lru_cache(maxsize=32)
def _on_grid(source: MaskSource, shape: tuple[int, int, int], affine_bytes: bytes) -> Mask:
    """A mask on a grid, cropped; kept because a reader looks at it once to know what is there, and training again."""
    if source.parts:
        masks = [_on_grid(part, shape, affine_bytes) for part in (replace(source, parts=()), *source.parts)]
        return reduce(union, masks)
    if source.file.suffix in (".npy", ".npz"):
        if not source.file.exists():
            raise DatasetError(f"The mask {source.file} is missing. Download or prepare it again.")
        return Mask.from_array(_array_mask(source, shape))
    array, affine = label_map(source.file)
    ct_affine = np.frombuffer(affine_bytes).reshape(4, 4)
    selected = _select(array, source.values)
    # Headers are written with float32, so the same grid may differ by some micrometres.
    if array.shape == shape and np.allclose(affine, ct_affine, atol=1e-2):
        return Mask.from_array(selected)
    matrix = np.linalg.inv(affine) @ ct_affine  # voxel of the CT -> voxel of the label map
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    there = matrix[:3, :3] @ corners + matrix[:3, 3:]
    if (there.max(1) < 0).any() or (there.min(1) > np.array(array.shape) - 1).any():
        raise DatasetError(f"The label map {source.file} lies outside its CT: one of the two headers is wrong.")
    resampled = ndimage.affine_transform(
        selected.astype(np.uint8), matrix[:3, :3], matrix[:3, 3], output_shape=shape, order=0, prefilter=False
    )
    return Mask.from_array(resampled.astype(bool))


def _array_mask(source: MaskSource, shape: tuple[int, int, int]) -> np.ndarray:
    """A mask stored without an affine, bool ``(i, j, k)`` RAS+."""
    if source.file.suffix == ".npz":
        if source.shape is None or source.channel is None:
            raise DatasetError(f"{source.file} is a sparse matrix, and its shape and channel were not given.")
        row = sparse.load_npz(source.file).tocsr()[source.channel].toarray()
        array = row.reshape(source.shape[1:])
    else:
        array = np.load(source.file, mmap_mode="r")
        array = array[source.channel] if source.channel is not None else _volume(array, source.file)
    if array.size == 1 and not array.any():  # how M3D-Seg's preparation writes "not in this scan"
        return np.zeros(shape, bool)
    array, _ = to_canonical(_select(array, source.values), axes_affine(source.axes))
    if array.shape != shape:
        raise DatasetError(
            f"The mask {source.file} has {array.shape} voxels and its CT {shape}. They were prepared differently: "
            "prepare the dataset again."
        )
    return array
