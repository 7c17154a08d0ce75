"""What a page fetches besides the viewer's data, under its session's unguessable token: downloads, a sign of life.

Plotly's script is under no token: it is the same for everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import plotly
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from .report_state import FILES

HEADERS = {"Cache-Control": "no-store, private", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def add_zip(app: FastAPI, name: str, find_file: Callable[[str], Path | None], missing: str) -> None:
    """Serve a zip of a session under ``/medvl/{token}/{name}``.

    Args:
        app: the app that Gradio launched.
        name: of the route.
        find_file: token -> the zip that is ready, or None.
        missing: what is said where there is none.
    """

    def give(request: Request) -> Response:
        path = find_file(request.path_params["token"])
        if path is None:
            return JSONResponse({"detail": missing}, status_code=404, headers=HEADERS)
        return FileResponse(path, filename=path.name, media_type="application/zip", headers=HEADERS)

    app.router.routes.insert(0, Route(f"/medvl/{{token}}/{name}", give, methods=["GET"]))


def add_plotly(app: FastAPI) -> None:
    """Serve ``/medvl/plotly.js``, the script that the package ``plotly`` brings, for the histograms.

    Args:
        app: the app that Gradio launched.
    """
    script = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    headers = HEADERS | {"Cache-Control": "public, max-age=86400"}

    def give(request: Request) -> Response:
        return FileResponse(script, media_type="text/javascript", headers=headers)

    app.router.routes.insert(0, Route("/medvl/plotly.js", give, methods=["GET"]))


def add_alive(app: FastAPI, alive: Callable[[str], bool]) -> None:
    """Serve ``/medvl/{token}/alive``, by which a page tells that it is still there.

    Args:
        app: the app that Gradio launched.
        alive: told the token of a page; says whether its session is there.
    """

    def here(request: Request) -> Response:
        return Response(status_code=204 if alive(request.path_params["token"]) else 410, headers=HEADERS)

    app.router.routes.insert(0, Route("/medvl/{token}/alive", here, methods=["GET"]))


def add_chat(app: FastAPI, find_chat: Callable[[str], tuple[str, bytes] | None]) -> None:
    """Serve ``/medvl/{token}/chat.md``, the conversation as it is.

    Args:
        app: the app that Gradio launched.
        find_chat: token -> name and content of the file, or None.
    """

    def chat(request: Request) -> Response:
        found = find_chat(request.path_params["token"])
        if found is None:
            return JSONResponse({"detail": "Nothing was said yet."}, status_code=404, headers=HEADERS)
        name, content = found
        headers = HEADERS | {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}"}
        return Response(content, media_type="text/markdown; charset=utf-8", headers=headers)

    app.router.routes.insert(0, Route("/medvl/{token}/chat.md", chat, methods=["GET"]))


# A report that is looked at in a tab of its own can print itself, and nothing else: no script, nothing from elsewhere.
LOOK_ONLY = "sandbox allow-modals; default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def add_report(app: FastAPI, find_report: Callable[[str, str], tuple[str, bytes] | None]) -> None:
    """Serve ``/medvl/{token}/report.md``, ``.html`` and ``.json``; ``.html?view=1`` is shown instead of saved.

    Args:
        app: the app that Gradio launched.
        find_report: token and ending -> name and content of the file with the latest edits, or None.
    """

    def report(request: Request) -> Response:
        kind = request.path_params["kind"]
        found = find_report(request.path_params["token"], kind)
        if found is None:
            return JSONResponse({"detail": "There is no such report."}, status_code=404, headers=HEADERS)
        look = kind == "html" and request.query_params.get("view") == "1"
        how = "inline" if look else "attachment"
        name, content = found
        headers = HEADERS | {
            "Content-Disposition": f"{how}; filename*=utf-8''{quote(name)}",  # RFC 6266
            "Content-Security-Policy": LOOK_ONLY,
        }
        return Response(content, media_type=FILES[kind][1], headers=headers)

    app.router.routes.insert(0, Route("/medvl/{token}/report.{kind}", report, methods=["GET"]))
