"""A small Hugging Face hub on this machine: model repositories with commits, downloads with ranges, uploads.

It speaks as much of the hub's protocol as huggingface_hub uses for ``snapshot_download`` and ``push_to_hub``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class LocalHub:
    """A server thread.

    Attributes:
        repos: ``{repo: {commit: {path: bytes}}}``; the last commit is ``main``.
        cut: paths whose next download breaks off half-way, once.
        refused: paths that are not given out now.
        served: ``(path, first byte)`` of every download.
    """

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.cut: set[str] = set()
        self.refused: set[str] = set()
        self.served: list[tuple[str, int]] = []
        hub = self

        class Handler(_Handler):
            store = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()

    def commit(self, repo: str, files: dict[str, bytes]) -> str:
        """Add a commit with these files and no others; returns its hash."""
        commits = self.repos.setdefault(repo, {})
        content = hashlib.sha256(b"".join(n.encode() + c for n, c in sorted(files.items()))).digest()
        name = hashlib.sha1(content + bytes([len(commits)])).hexdigest()
        commits[name] = dict(files)
        return name

    def use(self, monkeypatch, cache) -> None:
        """Make huggingface_hub of this process talk to this hub and keep its files in ``cache``."""
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", self.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        self.online(monkeypatch, True)

    @staticmethod
    def online(monkeypatch, yes: bool) -> None:
        """Go online or offline."""
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", not yes)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0" if yes else "1")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: LocalHub

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._file(body=False)

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._known(found[1], found[2], lambda commit, files: self._json({"id": found[1], "sha": commit}))
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+).*", path):
            self._known(found[1], found[2], lambda _, files: self._json([_entry(n, c) for n, c in files.items()]))
        else:
            self._file(body=True)

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(self.path.partition("?")[0])
        if path == "/api/repos/create":
            asked = json.loads(text)
            repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.store.repos.setdefault(repo, {})
            self._json({"url": f"{self.store.url}/{repo}", "id": repo})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = json.loads(text)["files"]
            self._json({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/.+", path):
            lines = [json.loads(line) for line in text.splitlines() if line]
            sent = {e["value"]["path"]: base64.b64decode(e["value"]["content"]) for e in lines if e["key"] == "file"}
            before = list(self.store.repos[found[1]].values())[-1:] or [{}]
            commit = self.store.commit(found[1], {**before[0], **sent})
            url = f"{self.store.url}/{found[1]}/commit/{commit}"
            self._json({"commitUrl": url, "commitOid": commit, "success": True, "hookOutput": ""})
        else:
            self._json({"error": "not found"}, 404)

    def _known(self, repo: str, revision: str | None, answer) -> None:
        commits = self.store.repos.get(repo)
        name = next(reversed(commits), None) if commits and revision in (None, "main") else revision
        if commits is None or name not in commits:
            code = "RepoNotFound" if commits is None else "RevisionNotFound"
            self._json({"error": code}, 404, {"X-Error-Code": code})
        else:
            answer(name, commits[name])

    def _file(self, body: bool) -> None:
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", unquote(self.path.partition("?")[0]))
        if found is None:
            self._json({"error": "not found"}, 404)
            return
        self._known(
            found[1], found[2], lambda commit, files: self._content(commit, files.get(found[3]), found[3], body)
        )

    def _content(self, commit: str, content: bytes | None, name: str, body: bool) -> None:
        if content is None:
            self._json({"error": "EntryNotFound"}, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        if name in self.store.refused:
            self._json({"error": "not now"}, 403)
            return
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{_git_sha(content)}"')
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        if not body:
            return
        self.store.served.append((name, first))
        part = content[first:]
        if name in self.store.cut:
            self.store.cut.discard(name)
            self.wfile.write(part[: len(part) // 2])
            self.close_connection = True
            return
        self.wfile.write(part)

    def _json(self, content: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


def _git_sha(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(name: str, content: bytes) -> dict:
    return {"type": "file", "path": name, "size": len(content), "oid": _git_sha(content)}
