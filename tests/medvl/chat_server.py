"""A server of OpenAI's protocol as vLLM, llama.cpp and Ollama speak it, on a free port of this machine."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ChatServer:
    """Streams words; remembers what it was asked.

    Attributes:
        url: to give to ``--reader``.
        asked: bodies of the requests, in order.
        sent: words that went out.
        words: of the answer.
        most: pictures that one message may hold.
        pause_s: before each word; the first may take longer (``first_s``).
    """

    def __init__(self, words: str = "The liver is of normal size .", most: int = 99, pause_s: float = 0.0) -> None:
        self.words, self.most, self.pause_s, self.first_s = words.split(" "), most, pause_s, 0.0
        self.asked: list[dict] = []
        self.keys: list[str | None] = []
        self.sent = 0
        self.broken = 0  # connections that were closed while words went out
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def _json(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                self._json(200, {"object": "list", "data": [{"id": "medgemma-4b", "object": "model"}]})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(body)
                outer.keys.append(self.headers.get("Authorization"))
                content = body["messages"][-1]["content"]
                pictures = [c for c in content if c["type"] == "image_url"] if isinstance(content, list) else []
                if body["model"] != "medgemma-4b":
                    self._json(404, {"error": {"message": f"The model `{body['model']}` does not exist."}})
                    return
                if len(pictures) > outer.most:
                    message = f"At most {outer.most} image(s) may be provided in one prompt."
                    self._json(400, {"error": {"message": message, "type": "BadRequestError"}})
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    self._event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
                    time.sleep(outer.first_s)
                    for n, word in enumerate(outer.words[: body["max_tokens"]]):
                        time.sleep(outer.pause_s)
                        self._event({"choices": [{"index": 0, "delta": {"content": word if n == 0 else f" {word}"}}]})
                        outer.sent += 1
                    self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
                    self._chunk(b"data: [DONE]\n\n")
                    self._chunk(b"")
                except (BrokenPipeError, ConnectionResetError):
                    outer.broken += 1
                    self.close_connection = True

            def _event(self, event):
                self._chunk(f"data: {json.dumps(event)}\n\n".encode())

            def _chunk(self, data):
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
