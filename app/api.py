"""Typed, named endpoints for ``gradio_client``: ``/info`` and ``/segment``. Stateless: file in, result out.

Coordinates are voxels in the file's own array order and boxes are half-open, as on the command line. The file goes
through a ``gr.File`` so that Gradio itself checks that it was uploaded, and is not a path of the server.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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


def _json(schema: dict[str, Any], **options: Any) -> gr.JSON:
    """A JSON value whose schema the API documents.

    Not a subclass: Gradio writes an interface file beside the module of every subclass of a component.
    """
    component = gr.JSON(**options)
    component.api_info = lambda: schema
    return component


def add_endpoints(model: MedVLSAM2) -> None:
    """Add the endpoints to the page that is being built."""
    with gr.Group(visible=False):
        file = gr.File(label="CT: NIfTI, NRRD, MetaImage, DICOM or zip", file_count="multiple")
        points = _json(VOXELS, label="Positive points, [[i, j, k], ...]", value=[])
        negative = _json(VOXELS, label="Negative points, [[i, j, k], ...]", value=[])
        box = _json(BOX, label="Box, half-open [i0, j0, k0, i1, j1, k1]")
        mask = gr.File(label="Mask, NIfTI in the geometry of the input")
        facts = _json(MEASUREMENTS, label="Facts")
        measured = _json(MEASUREMENTS, label="Measurements")
        info_button, segment_button = gr.Button("info"), gr.Button("segment")

    def info(ct: list[str]) -> dict:
        """Shape, spacing in mm, orientation and HU range of a CT, in the file's own array order."""
        with _words(), taken(ct) as paths:
            return describe(read_ct(paths[0] if len(paths) == 1 else paths))

    def segment(
        ct: list[str],
        points: list[list[int]] | None = None,
        negative_points: list[list[int]] | None = None,
        box: list[int] | None = None,
    ) -> Iterator[tuple[str, dict]]:
        """Segment one object of a CT by points and a box given as voxels of the file's own array order.

        Boxes are half-open. Returns the mask as NIfTI in the geometry of the input, and its measurements.
        Research use only, not for diagnosis.
        """
        # A generator, so that the folder goes once Gradio has copied the answer to where it serves it from.
        with _words(), tempfile.TemporaryDirectory(prefix="medvl-api-") as folder, taken(ct) as paths:
            output = Path(folder) / f"mask-{secrets.token_hex(8)}.nii.gz"
            one = paths[0] if len(paths) == 1 else paths
            measured = segment_file(model, one, output, points or [], negative_points or [], box)
            yield str(output), measured

    shared = {"concurrency_limit": AT_ONCE, "api_visibility": "public", "show_progress": "hidden"}
    info_button.click(info, file, facts, api_name="info", **shared)
    segment_button.click(segment, [file, points, negative, box], [mask, measured], api_name="segment", **shared)


@contextmanager
def _words() -> Iterator[None]:
    """The package's own errors as the client's; of others only the kind, since their text may hold a path."""
    try:
        yield
    except MedVLError as error:
        raise gr.Error(str(error), print_exception=False) from None
    except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise gr.Error(f"The request could not be answered ({type(error).__name__}).", print_exception=False) from None
