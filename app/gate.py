"""Who may talk to the server: the addresses that it was started with, and pages that come from it.

A browser sends requests to a local app for any page that it shows. So a name that was made to point to this machine
(DNS rebinding) is refused by its ``Host``, a post that another site makes by its ``Origin`` or ``Sec-Fetch-Site``, and
no other site may read an answer or put the page into a frame. Scripts (``gradio_client``, curl) send neither header.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE = {"GET", "HEAD", "OPTIONS"}
LOCAL = ("localhost", "127.0.0.1", "::1")
EVERY = ("0.0.0.0", "::", "")
FRAMES_ON_SPACES = ("https://huggingface.co", "https://*.huggingface.co", "https://*.hf.space")
# Gradio's page has inline scripts and styles and compiles its HTML components; nothing is fetched from elsewhere.
POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "media-src": "'self' data: blob:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}
WRONG_HOST = (
    "MedVL-SAM2 was not started for this address. Open it by the address that it printed, or start it with "
    "--allow-host NAME (behind a proxy: the name that visitors see).\n"
)
WRONG_SITE = "Another web site may not do this here. Open the page of MedVL-SAM2 itself.\n"


def host_name(host: str) -> str:
    """The name in a ``Host`` or ``Origin``, in small letters, without port and brackets; empty if there is none."""
    try:
        return (urlsplit(host if "//" in host else f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


class Gate:
    """ASGI middleware round the whole app.

    Args:
        app: that is guarded.
        host: that the server listens on.
        root_path: where a proxy shows it; of a whole address the name is allowed.
        allowed: further names.
        on_spaces: in a Hugging Face Space, which is public and answers to any name; its page is shown in a frame.
    """

    def __init__(
        self, app: ASGIApp, host: str, root_path: str = "", allowed: Iterable[str] = (), on_spaces: bool = False
    ) -> None:
        self.app, self.on_spaces = app, on_spaces
        own = {socket.gethostname().lower()} if host not in LOCAL else set()
        named = {host_name(name) for name in (*allowed, root_path if "//" in root_path else "")} - {""}
        self.named = named
        self.names = {*LOCAL, *named, *own, *(f"{name}.local" for name in own), host_name(host)} - {"", "0.0.0.0", "::"}
        self.any_address = host in EVERY
        frames = " ".join(("'self'", *(FRAMES_ON_SPACES if on_spaces else ())))
        self.policy = "; ".join(f"{key} {value}" for key, value in {**POLICY, "frame-ancestors": frames}.items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and set the headers of the answer."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self.knows(headers.get("host", "")):
            await self._refuse(WRONG_HOST, 421, scope, receive, send)
        elif (scope.get("method") not in SAFE or scope["type"] == "websocket") and not self.own_page(headers):
            await self._refuse(WRONG_SITE, 403, scope, receive, send)
        else:

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._mark(MutableHeaders(scope=message))
                await send(message)

            await self.app(scope, receive, answer)

    def knows(self, host: str) -> bool:
        """Whether a ``Host`` is one that the server was started with."""
        if self.on_spaces:
            return True
        name = host_name(host)
        return name in self.names or (self.any_address and _is_address(name))

    def own_page(self, headers: Headers) -> bool:
        """Whether a request that changes something comes from the app's own page, or from no page at all."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if site in ("same-origin", "none"):  # no page can set this header
            return True
        if origin is None:
            return site is None
        if origin == "null":
            return False
        if host_name(origin) in self.named:
            return True
        if site is not None:
            return False
        # Browsers send Sec-Fetch-Site to https and localhost only.
        return urlsplit(origin).netloc.lower() in (headers.get("host", "").lower(), _first(headers, "x-forwarded-host"))

    def _mark(self, headers: MutableHeaders) -> None:
        for name in [key for key in headers if key.lower().startswith("access-control-")]:
            del headers[name]  # Gradio lets every site read what is not on localhost
        headers.setdefault("Content-Security-Policy", self.policy)
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")

    @staticmethod
    async def _refuse(words: str, status: int, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await PlainTextResponse(words, status)(scope, receive, send)


def _first(headers: Headers, name: str) -> str:
    return headers.get(name, "").split(",")[0].strip().lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def on_spaces() -> bool:
    """True inside a Hugging Face Space."""
    return bool(os.environ.get("SPACE_ID"))
