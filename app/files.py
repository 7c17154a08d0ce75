"""The upload of one file or many, as the page and the endpoints take it."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.data_classes import ListFiles
from pydantic import model_validator


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
