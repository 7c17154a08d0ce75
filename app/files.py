"""The upload of one file or many, as the page and the endpoints take it, and the folder that Gradio puts it in."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ListFiles
from pydantic import model_validator

FOLDER = "GRADIO_TEMP_DIR"
STALE_S = 3600  # no upload takes longer


def own_folder() -> Path:
    """Let Gradio keep uploads and answers in a folder of this process, which goes with it; call before ``build``.

    A folder that was chosen with ``GRADIO_TEMP_DIR`` is used as it is, and stays.
    """
    if not os.environ.get(FOLDER):
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="medvl-uploads-")
        atexit.register(shutil.rmtree, os.environ[FOLDER], ignore_errors=True)
    return Path(os.environ[FOLDER])


def sweep(folder: Path, now: float | None = None) -> int:
    """Delete what uploads that broke off, or were too large, have left: Gradio closes those files and forgets them.

    Args:
        folder: where Gradio puts uploads; files lie loose in it only while they arrive.
        now: seconds since 1970; None takes the clock's.

    Returns:
        How many files were deleted.
    """
    before = (time.time() if now is None else now) - STALE_S
    gone = 0
    for file in folder.glob("tmp*"):
        with contextlib.suppress(OSError):  # another thread moved it away
            if file.is_file() and file.stat().st_mtime < before:
                file.unlink()
                gone += 1
    return gone


class Files(ListFiles):
    """Many files; one that comes alone, as ``handle_file("ct.nii.gz")`` of a script does, is a list of one."""

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value


def files(**options: Any) -> gr.File:
    """A ``gr.File`` for one or many files, whose value in Python is a list of paths.

    Not a subclass: Gradio writes an interface file beside the module of every subclass of a component. Gradio's own
    ``preprocess`` makes an empty temporary file for every upload and never deletes it; here there is none.
    """
    component = gr.File(file_count="multiple", **options)
    described = component.api_info()  # the schema that clients know
    component.data_model = Files
    component.api_info = lambda: described
    component.preprocess = lambda payload: None if payload is None else [file.path for file in payload]
    return component
