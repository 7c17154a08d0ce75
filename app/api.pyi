"""Typed, named endpoints for ``gradio_client``: ``/info`` and ``/segment``. Stateless: file in, result out.

Coordinates are voxels in the file's own array order and boxes are half-open, as on the command line. The file goes
through a ``gr.File`` so that Gradio itself checks that it was uploaded, and is not a path of the server.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from medvl.errors import MedVLError
from medvl.jobs import describe, segment_file
from medvl.model import MedVLSAM2
from medvl.readers import read_ct

from .scans import taken

AT_ONCE = 4
VOXEL = {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3}
VOXELS = {"type": "array", "items": VOXEL}
BOX = {"type": "array", "items": {"type": "integer"}, "minItems": 6, "maxItems": 6}
MEASUREMENTS = {"type": "object", "additionalProperties": True}

from gradio.events import Dependency

class TypedJSON(gr.JSON):
    """A JSON value whose schema the API documents."""

    def __init__(self, schema: dict[str, Any], **options: Any) -> None:
        self.schema = schema
        super().__init__(**options)

    def get_block_name(self) -> str:
        """Drawn as a plain JSON component (it is never visible)."""
        return "json"

    def api_info(self) -> dict[str, Any]:
        """The schema of the value."""
        return self.schema
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component


def add_endpoints(model: MedVLSAM2) -> None:
    """Add the endpoints to the page that is being built."""
    with gr.Group(visible=False):
        file = gr.File(label="CT: NIfTI, NRRD, MetaImage, DICOM or zip", file_count="multiple")
        points = TypedJSON(VOXELS, label="Positive points, [[i, j, k], ...]", value=[])
        negative = TypedJSON(VOXELS, label="Negative points, [[i, j, k], ...]", value=[])
        box = TypedJSON(BOX, label="Box, half-open [i0, j0, k0, i1, j1, k1]")
        mask = gr.File(label="Mask, NIfTI in the geometry of the input")
        facts = TypedJSON(MEASUREMENTS, label="Facts")
        measured = TypedJSON(MEASUREMENTS, label="Measurements")
        info_button, segment_button = gr.Button("info"), gr.Button("segment")

    def info(ct: list[str]) -> dict:
        """Shape, spacing in mm, orientation and HU range of a CT, in the file's own array order."""
        return _answer(lambda: describe(_read(ct)))

    def segment(
        ct: list[str],
        points: list[list[int]] | None = None,
        negative_points: list[list[int]] | None = None,
        box: list[int] | None = None,
    ) -> tuple[str, dict]:
        """Segment one object of a CT by points and a box given as voxels of the file's own array order.

        Boxes are half-open. Returns the mask as NIfTI in the geometry of the input, and its measurements.
        Research use only, not for diagnosis.
        """
        # The answer has to lie where Gradio may serve it; delete_cache removes it within the hour.
        output = Path(tempfile.mkdtemp(prefix="medvl-api-")) / f"mask-{secrets.token_hex(8)}.nii.gz"

        def work() -> tuple[str, dict]:
            with taken(ct) as paths:
                one = paths[0] if len(paths) == 1 else paths
                return str(output), segment_file(model, one, output, points or [], negative_points or [], box)

        return _answer(work)

    shared = {"concurrency_limit": AT_ONCE, "api_visibility": "public", "show_progress": "hidden"}
    info_button.click(info, file, facts, api_name="info", **shared)
    segment_button.click(segment, [file, points, negative, box], [mask, measured], api_name="segment", **shared)


def _read(paths: list[str]) -> Any:
    with taken(paths) as moved:
        return read_ct(moved[0] if len(moved) == 1 else moved)


def _answer(work: Callable[[], Any]) -> Any:
    """The package's own errors as the client's."""
    try:
        return work()
    except MedVLError as error:
        raise gr.Error(str(error), print_exception=False) from None
    except (ArithmeticError, ValueError, OSError) as error:
        raise gr.Error(f"The request could not be answered ({type(error).__name__}).", print_exception=False) from None