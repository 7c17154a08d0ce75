"""The file that belongs to a header: ``.raw`` to ``.mhd``, ``.img`` to ``.hdr``.

A header names its data file as the program wrote it that made both. Since then the name may have been packed by a zip,
decomposed by macOS, or stripped of brackets and the like by an upload.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence

NIFTI_DATA = (".img", ".img.gz")


def beside(path: str) -> list[tuple[str, str]]:
    """``(name, path)`` of the other plain files in the folder of a file."""
    folder = os.path.dirname(os.path.abspath(path))
    entries = [entry for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
    return sorted((e.name, e.path) for e in entries if os.path.basename(path) != e.name)


def nearest(path: str, files: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The other files, those of the folder of ``path`` first: another folder may hold one of the same name."""
    home = os.path.dirname(path)
    return sorted((f for f in files if f[1] != path), key=lambda f: os.path.dirname(f[1]) != home)


def named(names: Iterable[str], files: Sequence[tuple[str, str]]) -> str | None:
    """Path of the file that a header means.

    Args:
        names: what it may be called, best first.
        files: ``(name, path)`` of what is there.

    Returns:
        The file of that name; else of the same letters and digits; else the only one with the same ending; or None.
    """
    names = list(names)
    for same in (_composed, _letters, _ending):
        for name in names:
            found = [path for other, path in files if same(other) == same(name)]
            if len(found) == 1 or (found and same is not _ending):
                return found[0]
    return None


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _letters(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFC", name).casefold() if c.isalnum())


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].casefold()


def nifti_data(header: str, files: Sequence[tuple[str, str]], name: str | None = None) -> str | None:
    """Path of the voxels (``.img``, ``.img.gz``) of a two-file NIfTI, or None when they are not there.

    Args:
        header: path of its header.
        files: ``(name, path)`` of what came with it.
        name: of the header, where the path does not tell it.
    """
    stem = (name or os.path.basename(header)).removesuffix(".gz")
    stem = stem[: -len(".hdr")] if stem.lower().endswith(".hdr") else stem
    images = [(other, path) for other, path in nearest(header, files) if other.lower().endswith(NIFTI_DATA)]
    exact = named([stem + ending for ending in NIFTI_DATA], images)
    return exact or (images[0][1] if len(images) == 1 else None)
