"""Routes that serve voxels and masks to the viewer, keyed by the unguessable token of a session.

They go to the front of the app's routes, because Gradio's own app ends in routes that match anything. The functions
are plain (not async), so Starlette runs them in its thread pool and packing a slab never blocks the page.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import wire
from .board import Board

HEADERS = {"Cache-Control": "no-store, private", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
GZIP_FROM = 1024  # bytes; smaller answers go as they are

FindBoard = Callable[[str], "Board | None"]


def add_routes(app: FastAPI, find_board: FindBoard) -> None:
    """Serve ``/medvl/{token}/info``, ``/volume`` and ``/delta``, and the same of ``/medvl/{token}/prior``.

    Args:
        app: what ``demo.launch(prevent_thread_lock=True)`` returns, or the app that ``gr.mount_gradio_app`` mounts on.
        find_board: token -> the session's board, or None for an unknown or closed one (answered with 404).
    """

    def board_of(request: Request) -> Board | None:
        board = find_board(request.path_params["token"])
        if board is None or "/prior/" not in request.url.path:
            return board
        return board.beside.board if board.beside is not None else None

    def info(request: Request) -> Response:
        board = board_of(request)
        return _missing() if board is None else JSONResponse(board.info(), headers=HEADERS)

    def volume(request: Request) -> Response:
        board = board_of(request)
        if board is None:
            return _missing()
        try:
            packed = board.slab(int(request.query_params.get("level", 0)), int(request.query_params.get("slab", 0)))
        except (ValueError, IndexError):
            return _missing("There is no such part of the volume.")
        return _binary(packed, {"Content-Encoding": "gzip"})

    def delta(request: Request) -> Response:
        board = board_of(request)
        if board is None:
            return _missing()
        try:
            since = int(request.query_params.get("since", -1))
        except ValueError:
            since = -1
        body = board.delta(since)
        if len(body) < GZIP_FROM:
            return _binary(body, {})
        return _binary(wire.gzip_fast(body), {"Content-Encoding": "gzip"})

    routes = {"info": info, "volume": volume, "delta": delta}
    added = [
        Route(f"/medvl/{{token}}{part}/{name}", fn, methods=["GET"])
        for part in ("", "/prior")
        for name, fn in routes.items()
    ]
    app.router.routes[:0] = added


def _binary(body: bytes, headers: dict[str, str]) -> Response:
    """Bytes that no cache may keep."""
    return Response(body, media_type="application/octet-stream", headers={**HEADERS, **headers})


def _missing(message: str = "This session has ended. Reload the page.") -> Response:
    """404 that tells an unknown token nothing."""
    return JSONResponse({"detail": message}, status_code=404, headers=HEADERS)
