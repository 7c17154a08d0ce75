"""Uploads: the component for one file or many, the route that takes them, and the folder that they wait in."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio.data_classes import ListFiles
from gradio.route_utils import MultiPartException, upload_fn
from gradio.routes import file_upload_statuses
from pydantic import model_validator
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message

FOLDER = "GRADIO_TEMP_DIR"
PREFIX = "medvl-in-"
WAIT_S = 1800  # that a finished upload may wait for its turn in the queue
SILENT_S = 30  # that an upload may bring nothing before it counts as broken off
SPARE_BYTES = 256 << 20  # of the disk, which uploads leave free


def own_folder() -> Path:
    """The folder of uploads, ``GRADIO_TEMP_DIR``; one of this process, which goes with it, where none is set."""
    if not os.environ.get(FOLDER):
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="medvl-uploads-")
        atexit.register(shutil.rmtree, os.environ[FOLDER], ignore_errors=True)
    return Path(os.environ[FOLDER])


class Uploads:
    """The folder that uploads wait in until they are read: each in a folder of its own, within bounds.

    Gradio names its folders by the content, so that two visitors with the same file had one path, and the first one
    took it away.

    Args:
        folder: where Gradio lets uploads lie.
        max_file_bytes: largest file.
        max_waiting_bytes: of all that is arriving or waits; None takes twice the largest file, 4 GB at least.
    """

    def __init__(self, folder: Path, max_file_bytes: int, max_waiting_bytes: int | None = None) -> None:
        self.folder, self.max_file_bytes = folder, max_file_bytes
        self.max_waiting_bytes = max_waiting_bytes or max(4_000_000_000, 2 * max_file_bytes)
        self._held: dict[Path, int] = {}
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes that arrive or wait."""
        with self._lock:
            self._held = {place: size for place, size in self._held.items() if place.is_dir()}
            return sum(self._held.values())

    def sweep(self, now: float | None = None) -> int:
        """Delete what waited for too long; returns how many uploads that were.

        Args:
            now: seconds since 1970; None takes the clock's.
        """
        before = (time.time() if now is None else now) - WAIT_S
        gone = 0
        for place in self.folder.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):  # taken meanwhile
                if place.stat().st_mtime < before:
                    shutil.rmtree(place, ignore_errors=True)
                    gone += 1
        return gone

    def add_to(self, app: FastAPI) -> None:
        """Take ``/gradio_api/upload`` over from Gradio."""
        app.router.routes.insert(0, Route("/gradio_api/upload", self._take, methods=["POST"]))

    async def _take(self, request: Request) -> Response:
        """Write the files of one request; if that does not end well nothing of them stays."""
        declared = request.headers.get("content-length", "")
        size = int(declared) if declared.isdecimal() else self.max_file_bytes
        if self.nbytes + size > self.max_waiting_bytes:
            return PlainTextResponse("Too many uploads wait on the server. Please try again in a minute.", 503)
        place = self.folder / f"{PREFIX}{secrets.token_hex(16)}"
        upload_id, done = request.query_params.get("upload_id"), False
        try:
            place.mkdir(parents=True)
            if shutil.disk_usage(place).free < size + SPARE_BYTES:
                raise OSError
            self._held[place] = size
            progress = file_upload_statuses if upload_id else None
            incoming = Request(request.scope, _Patient(request, size).receive)
            written, _, _ = await upload_fn(
                incoming, str(place), self.max_file_bytes, upload_id, upload_progress=progress
            )
            done = True
            return JSONResponse([str(path) for path in written])
        except MultiPartException as error:
            if "maximum allowed size" in error.message:
                limit = self.max_file_bytes / 1e6
                return PlainTextResponse(f"The file is larger than the {limit:.0f} MB that are allowed here.", 413)
            return PlainTextResponse("The upload is damaged. Please upload the file again.", 400)
        except (ClientDisconnect, asyncio.TimeoutError):
            return PlainTextResponse("The upload broke off. Please upload the file again.", 408)
        except OSError:
            return PlainTextResponse("The disk of the server is full, or its folder of uploads is gone.", 507)
        except (HTTPException, TypeError, ValueError, AttributeError):  # no form, or no file in it
            return PlainTextResponse("This is no upload of files.", 400)
        finally:
            if not done:
                self._held.pop(place, None)
                shutil.rmtree(place, ignore_errors=True)
                if upload_id:
                    file_upload_statuses.set_done(upload_id)


class _Patient:
    """The messages of a request; one that is silent for long, or brings more than it declared, ends."""

    def __init__(self, request: Request, size: int) -> None:
        self._receive, self._left = request.receive, size

    async def receive(self) -> Message:
        message = await asyncio.wait_for(self._receive(), SILENT_S)
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise MultiPartException("maximum allowed size")
        return message


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
