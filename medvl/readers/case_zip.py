"""A saved case: one ``.medvl.zip`` -> ``SavedCase``. What is in it is a stranger's until it was checked.

Layout: ``case.json`` (format number, scan, masks with their steps, conversation, report, page), ``masks/N.runs`` (run
lengths of one mask each, uint32, little-endian), and ``scan.nii.gz`` and ``prior.nii.gz`` where the scans were asked
for. What is known of an earlier scan that stood beside is a part ``prior`` of ``case.json``. Nothing is written
to a disk under a name of the zip, and no size that the zip declares is believed beyond the limits.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..ct.masks import End, Mask
from ..ct.prompts import Box, Point
from ..ct.registration import Registration
from ..errors import CaseFileError, MedVLError, PromptError

FORMAT = 2  # 2: the earlier scan is in the file; grows when an older version could not read what is written
SUFFIX = ".medvl.zip"
KIND = "medvl-case"
INDEX, SCAN, PRIOR = "case.json", "scan.nii.gz", "prior.nii.gz"
MAX_MEMBERS = 20_000
MAX_INDEX_BYTES = 64 << 20
MAX_SCAN_BYTES = 2_000_000_000
MAX_VOXELS = 400_000_000
MAX_MASK_BYTES = 4_000_000_000  # of all masks and steps, one byte a voxel of their boxes
MAX_MASKS = 2000
_RUNS = re.compile(r"masks/\d{1,6}\.runs")
_DAMAGED = "The saved case is damaged. Save it again where it was made, or use an earlier copy."


@dataclass(frozen=True, eq=False)
class ScanPrint:
    """Which scan a case belongs to; nothing that names a person.

    Attributes:
        shape: voxels along i, j, k.
        affine: ``(4, 4)`` voxel -> RAS mm.
        digest: ``ct.fingerprint``.
        file_name: of the scan, without its path.
        file_format: as in ``CTVolume``.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    digest: str
    file_name: str = ""
    file_format: str = ""

    def __str__(self) -> str:
        """For a person."""
        name = f"{self.file_name!r}, " if self.file_name else ""
        return f"{name}{' x '.join(map(str, self.shape))} voxels"


@dataclass(frozen=True)
class SavedStep:
    """A point of a mask's history, with all prompts up to it; None after an operation."""

    mask: Mask
    prompts: tuple[Point | Box, ...] | None = None


@dataclass(frozen=True)
class SavedMask:
    """A mask as it is, the steps that led to it (oldest first, it stands last), and those that were taken back."""

    mask: Mask
    past: tuple[SavedStep, ...] = ()
    future: tuple[SavedStep, ...] = ()


@dataclass(frozen=True)
class SavedCase:
    """A case as it was saved.

    Attributes:
        scan: which scan it belongs to.
        masks: in the order of the list.
        clicked: id of the mask that prompts went to last.
        found: of each structure that was looked for ``{"structure", "mask", "status", "note"}``.
        turns: calls of the conversation, as JSON values, a list a turn.
        told: what each turn told (message, facts, masks, spots, question), as JSON values; empty in older files.
        report: see ``report.saved``, None where there is none.
        page: what the page keeps beside (view, looks, lengths, words of the chat); JSON values.
        made_with: version that wrote it.
        has_scan: the scan is in the file.
        prior: the earlier scan that stood beside, None where none did.
        order: of each change that can be taken back, oldest first, ids of the masks that got a step.
    """

    scan: ScanPrint
    masks: tuple[SavedMask, ...] = ()
    clicked: str | None = None
    found: tuple[dict[str, Any], ...] = ()
    turns: tuple[Any, ...] = ()
    told: tuple[Any, ...] = ()
    report: dict[str, Any] | None = None
    page: dict[str, Any] = field(default_factory=dict)
    made_with: str = ""
    has_scan: bool = False
    prior: SavedPrior | None = None
    order: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class SavedPrior:
    """An earlier scan that stood beside.

    Attributes:
        case: of that scan.
        found: where a place of the present scan lies in it.
    """

    case: SavedCase
    found: Registration


def is_case(path: str | os.PathLike) -> bool:
    """Whether a file is a saved case, whatever its name."""
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(INDEX)
            if entry.file_size > MAX_INDEX_BYTES:
                return False
            with archive.open(entry) as file:
                return f'"kind": "{KIND}"'.encode() in file.read(200)
    except (OSError, KeyError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, EOFError):
        return False


def read_case(path: str | os.PathLike, claim: Callable[[int], None] | None = None) -> SavedCase:
    """Read a saved case, without its scan.

    Args:
        path: the file.
        claim: called with the bytes that its masks will take before they are read; what it raises ends the reading.

    Raises:
        CaseFileError: no saved case, damaged, unsafe, too large, or of a later version.
    """
    with _opened(path) as archive:
        members = _checked(archive)
        index = _index(archive)
        try:
            return _parse(index, archive, members, claim)
        except (MemoryError, CaseFileError):
            raise
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise CaseFileError(_DAMAGED) from error


def take_scan(path: str | os.PathLike, folder: str | os.PathLike, name: str = SCAN) -> Path:
    """Unpack the scan of a saved case.

    Args:
        path: the file.
        folder: where it is written, as ``name``.
        name: ``SCAN``, or ``PRIOR`` for the earlier one.

    Raises:
        CaseFileError: there is no scan in it, or it is damaged or too large.
    """
    target = Path(folder) / name
    with _opened(path) as archive:
        if name not in _checked(archive):
            raise CaseFileError("The saved case holds no scan. Open its scan first, then the case.")
        try:
            with archive.open(name) as file, open(target, "wb") as out:
                shutil.copyfileobj(file, out, 1 << 20)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise CaseFileError(_DAMAGED) from error
    return target


class _opened:  # noqa: N801 - used like a function
    """The archive, its own errors told as ``CaseFileError``."""

    def __init__(self, path: str | os.PathLike) -> None:
        self._path = path

    def __enter__(self) -> zipfile.ZipFile:
        try:
            self._archive = zipfile.ZipFile(self._path)
        except FileNotFoundError:
            raise CaseFileError("There is no such file. Check the path of the saved case.") from None
        except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
            raise CaseFileError(f"This is no saved case ({SUFFIX}), or it is damaged. Choose another file.") from error
        return self._archive

    def __exit__(self, *_: object) -> None:
        self._archive.close()


def _checked(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Members by name: only those of the layout, each once, within the limits."""
    members = archive.infolist()
    names = [member.filename for member in members]
    if INDEX not in names:
        raise CaseFileError(f"This zip is no saved case: {INDEX} is not in it.")
    if len(members) > MAX_MEMBERS or len(set(names)) < len(names):
        raise CaseFileError("The saved case holds too many parts, or one of them twice. It is not opened.")
    for member in members:
        limit = {INDEX: MAX_INDEX_BYTES, SCAN: MAX_SCAN_BYTES, PRIOR: MAX_SCAN_BYTES}.get(
            member.filename, 4 * MAX_VOXELS
        )
        if member.filename not in (INDEX, SCAN, PRIOR) and not _RUNS.fullmatch(member.filename):
            raise CaseFileError("The saved case holds parts that do not belong in one. It is not safe to open.")
        if member.flag_bits & 1:
            raise CaseFileError("The saved case is protected by a password. Save it again without one.")
        if member.file_size > limit:
            raise CaseFileError("A part of the saved case is larger than it can be (a zip bomb?). It is not opened.")
    if sum(m.file_size for m in members if m.filename not in (SCAN, PRIOR)) > MAX_MASK_BYTES:
        raise CaseFileError("Unpacked, the saved case is larger than it can be (a zip bomb?). It is not opened.")
    return {member.filename: member for member in members}


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)  # no more than the size that was checked
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, KeyError) as error:
        raise CaseFileError(_DAMAGED) from error


def _index(archive: zipfile.ZipFile) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        index = json.loads(_read(archive, INDEX), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise CaseFileError(_DAMAGED) from error
    if not isinstance(index, dict) or index.get("kind") != KIND:
        raise CaseFileError(f"This zip is no saved case ({SUFFIX}).")
    number = index.get("format")
    if type(number) is not int or number < 1:
        raise CaseFileError(_DAMAGED)
    if number > FORMAT:
        raise CaseFileError(
            f"The case was saved by a later version ({_text(index.get('made_with'), 40) or 'unknown'}, format "
            f"{number}; this one reads {FORMAT}). Update MedVL-SAM2 to open it."
        )
    return index


def _parse(
    index: dict[str, Any],
    archive: zipfile.ZipFile,
    members: dict[str, zipfile.ZipInfo],
    claim: Callable[[int], None] | None,
) -> SavedCase:
    earlier = index.get("prior")
    boxes = [_boxes(part) for part in (index, *([earlier["case"]] if earlier else []))]
    nbytes = sum(int(np.prod(box.size)) for known in boxes for box in known.values())
    if nbytes > MAX_MASK_BYTES:
        raise CaseFileError(f"The masks of this case would take {nbytes / 1e9:.0f} GB. It is not opened.")
    if claim is not None:
        claim(nbytes)
    case = _case(index, archive, members, boxes[0], SCAN)
    if not earlier:
        return case
    return replace(case, prior=SavedPrior(_case(earlier["case"], archive, members, boxes[1], PRIOR), _motion(earlier)))


def _motion(value: dict[str, Any]) -> Registration:
    matrix = np.array(value["matrix"], dtype=np.float64)
    good = matrix.shape == (4, 4) and np.isfinite(matrix).all() and np.array_equal(matrix[3], (0, 0, 0, 1))
    if not good or not np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-3):
        raise CaseFileError(_DAMAGED)
    similarity, shared = float(value["similarity"]), float(value["shared_mm"])
    return Registration(matrix, similarity, shared, value["same_frame"] is True)


def _boxes(part: dict[str, Any]) -> dict[str, Box]:
    """Boxes of the voxels of each member that masks and steps of a case refer to."""
    shape, listed = _scan(part["scan"]).shape, part["masks"]
    if len(listed) > MAX_MASKS:
        raise CaseFileError(f"The saved case holds {len(listed)} masks; at most {MAX_MASKS} can be.")
    boxes: dict[str, Box] = {}
    for step in [s for one in listed for s in (one["now"], *one["past"], *one["future"])]:
        if step["runs"] is not None:
            box = _box(step["box"], shape)
            if boxes.setdefault(step["runs"], box) != box:
                raise CaseFileError(_DAMAGED)
    return boxes


def _case(
    index: dict[str, Any],
    archive: zipfile.ZipFile,
    members: dict[str, zipfile.ZipInfo],
    boxes: dict[str, Box],
    scan_name: str,
) -> SavedCase:
    scan, listed = _scan(index["scan"]), index["masks"]
    blocks: dict[str, tuple[Box, np.ndarray]] = {}

    def mask(step: dict[str, Any], labels: dict[str, Any]) -> Mask:
        ends = tuple(_end(e, scan.shape) for e in step["ends"])
        name = step["runs"]
        if name is None:
            return Mask(scan.shape, None, np.zeros((0, 0, 0), bool), ends=ends, **labels)
        if name not in blocks:
            if name not in members:
                raise CaseFileError(_DAMAGED)
            data = _read(archive, name)
            try:
                whole = Mask.from_runs(scan.shape, boxes[name], np.frombuffer(data, "<u4"))
            except MedVLError as error:
                raise CaseFileError(_DAMAGED) from error
            if whole.box is None:
                raise CaseFileError(_DAMAGED)
            blocks[name] = whole.box, whole.block
        box, block = blocks[name]
        return Mask(scan.shape, box, block, ends=ends, **labels)

    def saved(step: dict[str, Any], labels: dict[str, Any]) -> SavedStep:
        given = step["prompts"]
        prompts = None if given is None else tuple(_prompt(p, scan.shape) for p in given)
        return SavedStep(mask(step, labels), prompts)

    masks = []
    for one in listed:
        labels = {"id": _id(one["id"]), "name": _text(one["name"], 200) or "Mask", "color": _color(one["color"])}
        past = tuple(saved(s, labels) for s in one["past"])
        future = tuple(saved(s, labels) for s in one["future"])
        masks.append(SavedMask(mask(one["now"], labels), past, future))
    ids = [one.mask.id for one in masks]
    if len(set(ids)) < len(ids):
        raise CaseFileError(_DAMAGED)
    report, page = index.get("report"), index.get("page")
    return SavedCase(
        scan,
        tuple(masks),
        index.get("clicked") if index.get("clicked") in ids else None,
        tuple(_found(f, ids) for f in index.get("found", ())),
        tuple(index.get("turns", ())),
        tuple(index.get("told", ())),
        report if isinstance(report, dict) else None,
        page if isinstance(page, dict) else {},
        _text(index.get("made_with"), 40),
        scan_name in members,
        order=tuple(tuple(i for i in group if i in ids) for group in index.get("order", ())),
    )


def _scan(value: dict[str, Any]) -> ScanPrint:
    shape = tuple(_whole(n) for n in value["shape"])
    if len(shape) != 3 or min(shape) < 1 or int(np.prod(shape, dtype=object)) > MAX_VOXELS:
        raise CaseFileError(_DAMAGED)
    affine = np.array(value["affine"], dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise CaseFileError(_DAMAGED)
    digest = value["digest"]
    if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise CaseFileError(_DAMAGED)
    return ScanPrint(shape, affine, digest, _text(value.get("file_name"), 200), _text(value.get("file_format"), 40))


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("no whole number")
    return value


def _box(value: Any, shape: tuple[int, int, int]) -> Box:
    lo, hi = (tuple(_whole(n) for n in corner) for corner in value)
    try:
        return Box(lo, hi).check(shape)
    except PromptError as error:
        raise CaseFileError(_DAMAGED) from error


def _prompt(value: dict[str, Any], shape: tuple[int, int, int]) -> Point | Box:
    if "box" in value:
        return _box(value["box"], shape)
    point = Point(tuple(_whole(n) for n in value["point"]), value["positive"] is True, _whole(value["axis"]))
    try:
        return point.check(shape)
    except PromptError as error:
        raise CaseFileError(_DAMAGED) from error


def _end(value: dict[str, Any], shape: tuple[int, int, int]) -> End:
    axis, index = _whole(value["axis"]), _whole(value["index"])
    if axis not in (0, 1, 2) or not 0 <= index < shape[axis]:
        raise CaseFileError(_DAMAGED)
    return End(axis, index, _text(value["reason"], 300))


def _id(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"m[1-9]\d{0,8}", value):
        raise CaseFileError(_DAMAGED)
    return value


def _color(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"#[0-9a-f]{6}", value):
        raise CaseFileError(_DAMAGED)
    return value


def _found(value: dict[str, Any], ids: list[str]) -> dict[str, Any]:
    status, mask = value["status"], value["mask"]
    if status not in ("found", "absent") or (mask is not None and mask not in ids):
        raise CaseFileError(_DAMAGED)
    kept = {"structure": _text(value["structure"], 80), "mask": mask, "status": status}
    return kept | {"note": _text(value.get("note"), 400)}


def _text(value: Any, longest: int) -> str:
    """One printable line."""
    text = value if isinstance(value, str) else ""
    return " ".join("".join(c for c in text if c.isprintable()).split())[:longest]
