"""The downloads of an export and of a report, served under the session's unguessable token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from .report_state import FILES

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


# A report that is looked at in a tab of its own can print itself, and nothing else: no script, nothing from elsewhere.
LOOK_ONLY = "sandbox allow-modals; default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def add_report(app: FastAPI, find_report: Callable[[str, str], bytes | None]) -> None:
    """Serve ``/medvl/{token}/report.md``, ``.html`` and ``.json``; ``.html?view=1`` is shown instead of saved.

    Args:
        app: the app that Gradio launched.
        find_report: token and ending -> the file as it is with the latest edits, or None.
    """

    def report(request: Request) -> Response:
        kind = request.path_params["kind"]
        content = find_report(request.path_params["token"], kind)
        if content is None:
            return JSONResponse({"detail": "There is no such report."}, status_code=404, headers=HEADERS)
        look = kind == "html" and request.query_params.get("view") == "1"
        how = "inline" if look else "attachment"
        headers = HEADERS | {
            "Content-Disposition": f'{how}; filename="medvl-report.{kind}"',
            "Content-Security-Policy": LOOK_ONLY,
        }
        return Response(content, media_type=FILES[kind][1], headers=headers)

    app.router.routes.insert(0, Route("/medvl/{token}/report.{kind}", report, methods=["GET"]))
