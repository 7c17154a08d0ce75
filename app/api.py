"""Typed, named endpoints for ``gradio_client``: ``/info``, ``/segment``, ``/ask``, ``/report``. Stateless.

What a call reads and makes counts against the memory budget of the sessions while it runs.

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
from medvl.text_jobs import ask_file, report_file, segment_text_file

from .inputs import clean_question
from .scans import taken
from .sessions import SessionStore

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


def add_endpoints(model: MedVLSAM2, store: SessionStore) -> None:
    """Add the endpoints to the page that is being built; calls that ``store`` has no room for are refused."""
    with gr.Group(visible=False):
        file = gr.File(label="CT: NIfTI, NRRD, MetaImage, DICOM or zip", file_count="multiple")
        points = _json(VOXELS, label="Positive points, [[i, j, k], ...]", value=[])
        negative = _json(VOXELS, label="Negative points, [[i, j, k], ...]", value=[])
        box = _json(BOX, label="Box, half-open [i0, j0, k0, i1, j1, k1]")
        text = gr.Textbox(label="Name or description of a structure", value="")
        question = gr.Textbox(label="Question")
        answer = gr.Textbox(label="Answer")
        mask = gr.File(label="Mask or label map, NIfTI in the geometry of the input")
        facts = _json(MEASUREMENTS, label="Facts")
        measured = _json(MEASUREMENTS, label="Measurements")
        buttons = {name: gr.Button(name) for name in ("info", "segment", "ask", "report")}

    def info(ct: list[str]) -> dict:
        """Shape, spacing in mm, orientation and HU range of a CT, in the file's own array order."""
        with _words(), taken(ct) as paths, store.room() as room:
            return describe(read_ct(paths[0] if len(paths) == 1 else paths, claim=room.claim))

    def segment(
        ct: list[str],
        points: list[list[int]] | None = None,
        negative_points: list[list[int]] | None = None,
        box: list[int] | None = None,
        text: str = "",
    ) -> Iterator[tuple[str, dict]]:
        """Segment one object of a CT by points and a box given as voxels of the file's own array order, or by text.

        Boxes are half-open. With text, points and a box refine what the text names. Returns the mask as NIfTI in the
        geometry of the input, and its measurements; text that names several structures gives a label map.
        Research use only, not for diagnosis.
        """
        # A generator, so that the folder goes once Gradio has copied the answer to where it serves it from.
        with _words(), _folder() as folder, taken(ct) as paths, store.room() as room:
            output = folder / f"mask-{secrets.token_hex(8)}.nii.gz"
            one = paths[0] if len(paths) == 1 else paths
            prompts = (points or [], negative_points or [], box)
            if text and text.strip():
                measured = segment_text_file(model, one, clean_question(text), output, *prompts, room=room)
            else:
                measured = segment_file(model, one, output, *prompts, room=room)
            yield str(output), measured

    def ask(ct: list[str], question: str) -> Iterator[tuple[str, dict, str | None]]:
        """Ask one question about a CT, or name structures to segment.

        Returns the answer's text, its facts and sentences, and the masks it speaks of as a NIfTI label map in the
        geometry of the input (nothing if there are none). Research use only, not for diagnosis.
        """
        with _words(), _folder() as folder, taken(ct) as paths, store.room() as room:
            output = folder / f"masks-{secrets.token_hex(8)}.nii.gz"
            one = paths[0] if len(paths) == 1 else paths
            given = ask_file(model, one, clean_question(question), output, room=room)
            yield given["answer"], given, str(output) if given["labels"] else None

    def report(ct: list[str]) -> tuple[str, dict]:
        """Write a report of a CT from measurements of its structures, as Markdown and as JSON.

        Research use only, not for diagnosis.
        """
        with _words(), taken(ct) as paths, store.room() as room:
            written = report_file(model, paths[0] if len(paths) == 1 else paths, room=room)
            return written.markdown(), written.to_dict()

    shared = {"concurrency_limit": AT_ONCE, "api_visibility": "public", "show_progress": "hidden"}
    buttons["info"].click(info, file, facts, api_name="info", **shared)
    prompts = [file, points, negative, box, text]
    buttons["segment"].click(segment, prompts, [mask, measured], api_name="segment", **shared)
    buttons["ask"].click(ask, [file, question], [answer, facts, mask], api_name="ask", **shared)
    buttons["report"].click(report, file, [answer, facts], api_name="report", **shared)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for the answer's file, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="medvl-api-") as folder:
        yield Path(folder)


@contextmanager
def _words() -> Iterator[None]:
    """The package's own errors as the client's; of others only the kind, since their text may hold a path."""
    try:
        yield
    except MedVLError as error:
        raise gr.Error(str(error), print_exception=False) from None
    except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise gr.Error(f"The request could not be answered ({type(error).__name__}).", print_exception=False) from None
