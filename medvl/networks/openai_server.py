"""Models on a server with OpenAI's protocol (vLLM, llama.cpp, Ollama, SGLang): chat with and without pictures."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from urllib.parse import urldefrag

import httpx

from ..errors import WeightsError
from .image_text import POLL_S, Picture, montage

CONNECT_S = 10.0
Message = dict[str, object]


def is_url(source: str) -> bool:
    """True for what names a server and no model."""
    return source.startswith(("http://", "https://"))


class OpenAIServer:
    """One model of a server; shared by all cases.

    Pictures and questions are sent there: to nobody else, and only when something is asked.
    """

    def __init__(self, url: str, model: str | None = None, key: str | None = None) -> None:
        """Reach the server.

        Args:
            url: where ``/chat/completions`` is, for instance ``http://localhost:8000/v1``; a model of several may
                follow as ``#name``.
            model: its name there; None takes the URL's, or the first that the server lists.
            key: sent as bearer token; None takes the environment's MEDVL_API_KEY or OPENAI_API_KEY.

        Raises:
            WeightsError: the server cannot be reached, or has no model.
        """
        base, name = urldefrag(url)
        self.url = base.rstrip("/")
        key = key or os.environ.get("MEDVL_API_KEY") or os.environ.get("OPENAI_API_KEY")
        # No proxy and no credentials of the environment: what is sent is a patient's picture.
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(None, connect=CONNECT_S),
            trust_env=False,
        )
        self.several = True  # whether a message may hold several pictures; found out with the first
        self.model = model or name or self._first_model()
        self.name = f"{self.model} on {httpx.URL(self.url).host}"

    def _first_model(self) -> str:
        try:
            answer = self._client.get(f"{self.url}/models", timeout=CONNECT_S)
            answer.raise_for_status()
            return answer.json()["data"][0]["id"]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, IndexError, TypeError) as error:
            raise WeightsError(
                f"No model is listed at {self.url}/models ({type(error).__name__}). Start the server, and give the "
                "address that ends in /v1; a model of several is named after #."
            ) from None

    @property
    def notice(self) -> str:
        """What leaves this machine."""
        return f"{self.name}: messages, and slices as pictures where it reads the image, are sent to {self.url}."

    def stream(
        self,
        question: str,
        pictures: Sequence[Picture],
        history: Sequence[tuple[str, str]] = (),
        cancel: threading.Event | None = None,
        max_new_tokens: int = 512,
    ) -> Iterator[str]:
        """See ``image_text.PictureModel``; of a server that takes one picture a message, it gets a montage.

        Raises:
            WeightsError: the server cannot be reached, or refuses.
        """
        turns: list[Message] = []
        for asked, answered in history:
            turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
        if self.several and len(pictures) > 1:
            try:
                yield from self._chat([*turns, _message(question, pictures)], max_new_tokens, cancel)
                return
            except _RefusedError:
                self.several = False
        shown = [montage(pictures)] if len(pictures) > 1 else pictures
        yield from self._chat([*turns, _message(question, shown)], max_new_tokens, cancel)

    def chat(
        self,
        turns: Sequence[tuple[str, str]],
        max_new_tokens: int = 512,
        cancel: threading.Event | None = None,
        schema: dict[str, object] | None = None,
    ) -> Iterator[str]:
        """See ``chat.ChatModel``."""
        yield from self._chat([{"role": r, "content": t} for r, t in turns], max_new_tokens, cancel, schema)

    def _chat(
        self,
        messages: list[Message],
        max_new_tokens: int,
        cancel: threading.Event | None,
        schema: dict[str, object] | None = None,
    ) -> Iterator[str]:
        """Pieces as the server sends them; a Stop closes the connection, which ends the work there too."""
        asked = {
            "model": self.model, "messages": messages, "max_tokens": max_new_tokens, "temperature": 0, "seed": 0,
            "stream": True,
        }  # fmt: skip
        if schema is not None:
            asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        cancel = cancel or threading.Event()
        pieces: queue.Queue[object] = queue.Queue()
        open_now: list[httpx.Response] = []

        def work() -> None:
            try:
                with self._client.stream("POST", f"{self.url}/chat/completions", json=asked) as answer:
                    open_now.append(answer)
                    if answer.status_code >= 400:
                        answer.read()
                        refused = _RefusedError if answer.status_code in (400, 413, 422) else WeightsError
                        raise refused(_why(answer, self.url))
                    for piece in _events(answer):
                        pieces.put(piece)
                pieces.put(None)
            except Exception as error:  # told to whoever reads the queue
                pieces.put(error)

        threading.Thread(target=work, daemon=True).start()
        try:
            while not cancel.is_set():
                try:
                    piece = pieces.get(timeout=POLL_S)
                except queue.Empty:
                    continue
                if piece is None:
                    return
                if isinstance(piece, WeightsError):
                    raise piece
                if isinstance(piece, Exception):
                    raise WeightsError(
                        f"The server at {self.url} cannot be reached or broke off ({type(piece).__name__}). Look "
                        "whether it runs, and ask again."
                    ) from piece
                yield piece
        finally:
            for answer in open_now:
                _hang_up(answer)


class _RefusedError(WeightsError):
    """The server does not take a request as it is."""


def _message(question: str, pictures: Sequence[Picture]) -> Message:
    content: list[object] = []
    for picture in pictures:
        data = "data:image/png;base64," + base64.b64encode(picture.png).decode()
        content += [{"type": "text", "text": picture.caption}, {"type": "image_url", "image_url": {"url": data}}]
    return {"role": "user", "content": [*content, {"type": "text", "text": question}]}


def _events(answer: httpx.Response) -> Iterator[str]:
    """Text of the server-sent events of a streamed answer."""
    for line in answer.iter_lines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or not data:
            continue
        if data == "[DONE]":
            return
        event = json.loads(data)
        if event.get("error"):
            raise WeightsError(f"The server broke off: {event['error'].get('message', 'no reason given')}")
        for choice in event.get("choices", ())[:1]:
            if text := choice.get("delta", {}).get("content"):
                yield text


def _why(answer: httpx.Response, url: str) -> str:
    try:
        told = answer.json()
        told = told.get("error", told)
        told = told.get("message", "") if isinstance(told, dict) else str(told)
    except (ValueError, AttributeError):
        told = ""
    return f"The server at {url} refuses with {answer.status_code}: {told[:300] or answer.reason_phrase}"


def _hang_up(answer: httpx.Response) -> None:
    """End a connection that another thread is reading from, which closing alone does not."""
    stream = answer.extensions.get("network_stream")
    plain = stream.get_extra_info("socket") if stream is not None else None
    if plain is not None and not answer.is_closed:
        with contextlib.suppress(OSError):  # it has ended by itself
            plain.shutdown(2)
