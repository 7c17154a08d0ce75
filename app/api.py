"""Typed, named endpoints for ``gradio_client``: ``/info``, ``/segment``, ``/ask``, ``/report``. Stateless.

What a call reads and makes counts against the memory budget of the sessions while it runs.

Coordinates are voxels in the file's own array order and boxes are half-open, as on the command line. The file goes
through a ``gr.File`` so that Gradio itself checks that it was uploaded, and is not a path of the server. One file may
come as it is, the many files of a DICOM series as a list. Of several DICOM scans ``series`` chooses one.
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
from medvl.jobs.by_words import READING, ask_file, report_file, segment_text_file, tool_file
from medvl.jobs.one_scan import describe, segment_file
from medvl.language.calls.schema import schema
from medvl.model import MedVLSAM2
from medvl.readers.faults import explain
from medvl.readers.isolated import read_isolated

from .files import files
from .inputs import clean_question
from .scans import taken
from .sessions import Room, SessionStore

AT_ONCE = 4
VOXEL = {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3}
VOXELS = {"type": "array", "items": VOXEL}
BOX = {"type": "array", "items": {"type": "integer"}, "minItems": 6, "maxItems": 6}
CALL = {"oneOf": [
    {"type": "object", "description": one["function"]["description"], "required": ["tool"],
     "properties": {"tool": {"const": one["function"]["name"]}, **one["function"]["parameters"]["properties"]}}
    for one in schema(ids=False) if one["function"]["name"] in READING
]}  # fmt: skip
MEASUREMENTS = {"type": "object", "additionalProperties": True}


def _json(schema: dict[str, Any], **options: Any) -> gr.JSON:
    """A JSON value whose schema the API documents.

    Not a subclass: Gradio writes an interface file beside the module of every subclass of a component.
    """
    component = gr.JSON(**options)
    component.api_info = lambda: schema
    return component


def add_endpoints(model: MedVLSAM2, store: SessionStore, tools: bool = False) -> None:
    """Add the endpoints to the page that is being built; calls that ``store`` has no room for are refused.

    Args:
        model: that answers.
        store: whose budget of memory the calls share.
        tools: whether ``/tool`` is there too: one typed call, for language models that plan for themselves (``--mcp``).
    """
    with gr.Group(visible=False):
        file = files(label="CT: NIfTI, NRRD, MetaImage, DICOM or zip")
        points = _json(VOXELS, label="Positive points, [[i, j, k], ...]", value=[])
        negative = _json(VOXELS, label="Negative points, [[i, j, k], ...]", value=[])
        box = _json(BOX, label="Box, half-open [i0, j0, k0, i1, j1, k1]")
        text = gr.Textbox(label="Name or description of a structure", value="")
        question = gr.Textbox(label="Question")
        series = gr.Textbox(label="Which of several DICOM scans, as /info lists them; empty: the largest", value="")
        answer = gr.Textbox(label="Answer")
        mask = gr.File(label="Mask or label map, NIfTI in the geometry of the input")
        facts = _json(MEASUREMENTS, label="Facts")
        measured = _json(MEASUREMENTS, label="Measurements")
        call = _json(CALL, label="Call")
        buttons = {name: gr.Button(name) for name in ("info", "segment", "ask", "report", "tool")}

    def info(ct: list[str], series: str = "") -> dict:
        """Shape, spacing in mm, orientation and HU range of a CT, in the file's own array order."""
        with _words(), taken(ct) as paths, store.room() as room:
            one = paths[0] if len(paths) == 1 else paths
            return describe(read_isolated(one, claim=room.claim, series=series or None))

    def segment(
        ct: list[str],
        points: list[list[int]] | None = None,
        negative_points: list[list[int]] | None = None,
        box: list[int] | None = None,
        text: str = "",
        series: str = "",
    ) -> Iterator[tuple[str, dict]]:
        """Segment one object of a CT by points and a box given as voxels of the file's own array order, or by text.

        Boxes are half-open. With text, points and a box refine what the text names. Returns the mask as NIfTI in the
        geometry of the input, and its measurements; text that names several structures gives a label map.
        Research use only, not for diagnosis.
        """
        # A generator, so that the folder goes once Gradio has copied the answer to where it serves it from.
        with _words(), _folder() as folder, taken(ct) as paths, _turn(store) as room:
            output = folder / f"mask-{secrets.token_hex(8)}.nii.gz"
            one = paths[0] if len(paths) == 1 else paths
            prompts = (points or [], negative_points or [], box)
            chosen = {"room": room, "series": series or None}
            if text and text.strip():
                measured = segment_text_file(model, one, clean_question(text), output, *prompts, **chosen)
            else:
                measured = segment_file(model, one, output, *prompts, **chosen)
            yield str(output), measured

    def ask(ct: list[str], question: str, series: str = "") -> Iterator[tuple[str, dict, str | None]]:
        """Ask one question about a CT, or name structures to segment.

        Returns the answer's text, its facts and sentences, and the masks it speaks of as a NIfTI label map in the
        geometry of the input (nothing if there are none). Research use only, not for diagnosis.
        """
        with _words(), _folder() as folder, taken(ct) as paths, _turn(store) as room:
            output = folder / f"masks-{secrets.token_hex(8)}.nii.gz"
            one = paths[0] if len(paths) == 1 else paths
            given = ask_file(model, one, clean_question(question), output, room=room, series=series or None)
            yield given["answer"], given, str(output) if given["labels"] else None

    def report(ct: list[str], series: str = "") -> tuple[str, dict]:
        """Write a report of a CT from measurements of its structures, as Markdown and as JSON.

        Research use only, not for diagnosis.
        """
        with _words(), taken(ct) as paths, _turn(store) as room:
            one = paths[0] if len(paths) == 1 else paths
            written = report_file(model, one, room=room, series=series or None)
            return written.markdown(), written.to_dict()

    def tool(ct: list[str], call: dict, series: str = "") -> dict:
        """Measure or look in a CT by one typed call, for instance {"tool": "probe", "what": "metal"}.

        Returns facts, each with its value, unit and what it is about. Nothing is changed. Research use only, not for
        diagnosis.
        """
        with _words(), taken(ct) as paths, _turn(store) as room:
            one = paths[0] if len(paths) == 1 else paths
            return tool_file(model, one, call, room=room, series=series or None)

    shared = {"concurrency_limit": AT_ONCE, "api_visibility": "public", "show_progress": "hidden"}
    buttons["info"].click(info, [file, series], facts, api_name="info", **shared)
    prompts = [file, points, negative, box, text, series]
    buttons["segment"].click(segment, prompts, [mask, measured], api_name="segment", **shared)
    buttons["ask"].click(ask, [file, question, series], [answer, facts, mask], api_name="ask", **shared)
    buttons["report"].click(report, [file, series], [answer, facts], api_name="report", **shared)
    if tools:
        buttons["tool"].click(tool, [file, call, series], facts, api_name="tool", **shared)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for the answer's file, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="medvl-api-") as folder:
        yield Path(folder)


@contextmanager
def _turn(store: SessionStore) -> Iterator[Room]:
    """Room for a call, once it is its turn to compute."""
    with store.turns.turn() as turn:
        turn.come()
        with store.room() as room:
            yield room


@contextmanager
def _words() -> Iterator[None]:
    """The package's own errors as the client's; of others only the kind, since their text may hold a path."""
    try:
        yield
    except MedVLError as error:
        raise gr.Error(str(error), print_exception=False) from None
    except OSError as error:
        raise gr.Error(explain(error), print_exception=False) from None
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise gr.Error(f"The request could not be answered ({type(error).__name__}).", print_exception=False) from None
