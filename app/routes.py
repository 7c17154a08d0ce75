"""The download of an export, served from the session's own folder under its unguessable token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

HEADERS = {"Cache-Control": "no-store, private", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def add_download(app: FastAPI, find_file: Callable[[str], Path | None]) -> None:
    """Serve ``/medvl/{token}/export``.

    Args:
        app: the app that Gradio launched.
        find_file: token -> the zip that is ready, or None.
    """

    def export(request: Request) -> Response:
        path = find_file(request.path_params["token"])
        if path is None:
            return JSONResponse({"detail": "There is no such export. Export again."}, status_code=404, headers=HEADERS)
        return FileResponse(path, filename=path.name, media_type="application/zip", headers=HEADERS)

    app.router.routes.insert(0, Route("/medvl/{token}/export", export, methods=["GET"]))
