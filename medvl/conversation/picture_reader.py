"""``PictureReader``: what a model that looks at pictures reads in slices of one CT. See ``contract.ImageReader``.

The slices are chosen for each question: evenly through the structures that it names, in the window that shows their
tissue; through the whole body where it names none. Each bears side letters, a scale and its place in mm.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..ct.masks import Mask
from ..ct.volume import CTVolume
from ..ct.windows import WINDOWS, window_for
from ..errors import Cancelled
from ..language.mentions import find
from ..language.normalise import words
from ..networks.image_text import Picture, PictureModel
from ..structures.found import Finder
from ..tools.pieces import MaskRef, Step
from ..vocabulary.names import STRUCTURES
from .contract import Sentence, Words
from .image_reader import Telling

SLICES = 12  # for one question; each takes about 260 tokens
MAX_TOKENS = 512
BODY_HU, AIR_HU = -500, -850  # between them tissue begins, and lung ends
LUNGS = 0.12  # share of air within the body's outline from which a slice is shown in the lung window too
REPORT = (
    "Describe what these slices show, organ by organ, as the findings of a CT report: first what is normal, then what "
    "is not. End with an impression of one or two sentences."
)
WINDOW_NAMES = {"soft": "soft-tissue", "lung": "lung", "bone": "bone"}

Draw = Callable[[CTVolume, Sequence[Mask], int, int, tuple[float, float]], bytes]
Pieces = Iterator[Step | MaskRef | Words]


class PictureReader:
    """A model's look at one CT."""

    def __init__(
        self, ct: CTVolume, model: PictureModel, finder: Finder | None, draw: Draw, slices: int = SLICES
    ) -> None:
        """Prepare a CT; nothing is looked at yet.

        Args:
            ct: the CT.
            model: that looks at pictures.
            finder: where structures are; None shows the whole scan for every question.
            draw: ``(ct, masks, axis, index, (level, width)) -> PNG``.
            slices: most pictures for one question.
        """
        self._ct = ct
        self._model = model
        self._finder = finder
        self._draw = draw
        self._count = slices
        self._history: list[tuple[str, str]] = []
        self._report: tuple[Sentence, ...] | None = None

    @property
    def nbytes(self) -> int:
        """Memory that is kept between questions: words only."""
        return sum(len(a) + len(b) for a, b in self._history)

    def conversation(self) -> None:
        """There is no encoded image that another question could go on from."""

    def clear(self) -> None:
        """Forget what was said."""
        self._history.clear()

    def close(self) -> None:
        """Free everything."""
        self._history, self._report = [], None

    # ---- reading

    def read(
        self, question: str, told: list[Sentence], cancel: threading.Event | None = None, fresh: bool = False
    ) -> Pieces:
        """Answer from the slices; see ``contract.ImageReader``."""
        cancel = cancel or threading.Event()
        begin, step = time.perf_counter(), Step(f"Choose slices for {self._model.name}")
        yield step
        pictures, about = self.pictures(question, cancel)
        yield replace(step, seconds=time.perf_counter() - begin, share=1.0, outcome=f"{len(pictures)} slices {about}")
        if cancel.is_set():
            raise Cancelled("Stopped before anything was read.")
        begin, step = time.perf_counter(), Step(f"Read them with {self._model.name}")
        yield step
        said, telling = "", Telling(told, [])
        asked = f"{self._instruction(len(pictures), about)} {question}"
        answer = self._model.stream(asked, pictures, [] if fresh else self._history, cancel, MAX_TOKENS)
        try:
            for piece in answer:
                if step.seconds is None:
                    step = replace(step, seconds=time.perf_counter() - begin, share=1.0)
                    yield step
                said += piece
                yield from telling.add(piece)
        finally:
            answer.close()
            if said:
                self._history.append((question, said))
        if cancel.is_set():
            raise Cancelled("Stopped while reading.")
        yield from telling.end()
        if step.seconds is None:
            yield replace(step, seconds=time.perf_counter() - begin, share=1.0, outcome="nothing was said")

    def read_report(self, told: list[Sentence], cancel: threading.Event | None = None) -> Pieces:
        """The reading that a report holds; see ``contract.ImageReader``."""
        first = len(told)
        if self._report is None:
            yield from self.read(REPORT, told, cancel, fresh=True)
            self._report = tuple(told[first:])
            return
        for number, sentence in enumerate(self._report, start=first):
            told.append(sentence)
            yield Words(f" {sentence.text}", number, "model", sentence.mask_ids)

    # ---- slices

    def pictures(self, question: str, cancel: threading.Event | None = None) -> tuple[list[Picture], str]:
        """The slices that a question is asked about, feet first, and in words through what they go."""
        asked = self._asked(question, cancel)
        ids, masks = tuple(asked), tuple(asked.values())
        if masks:
            low = min(mask.box.lo[2] for mask in masks)
            high = max(mask.box.hi[2] for mask in masks)
            hu = np.concatenate([self._ct.hu[mask.box.slices][mask.region(mask.box)] for mask in masks])
            bones = all(STRUCTURES[id].kind == "bone" for id in ids)  # whose marrow would pass for soft tissue
            window = "bone" if bones else window_for(hu)
            shown = [(k, window) for k in _evenly(low, high, self._count)]
            about = "through " + " and ".join(mask.name[:1].lower() + mask.name[1:] for mask in masks[:3])
        else:
            shown, about = self._whole(), "through the whole scan"
        return [self._picture(k, window) for k, window in shown], about

    def _asked(self, question: str, cancel: threading.Event | None) -> dict[str, Mask]:
        """Masks of the structures that a question names and that are in the scan, by id."""
        if self._finder is None:
            return {}
        named = [id for m in find(words(question)) if m.kind == "known" for id in m.ids]
        ids = [id for id in dict.fromkeys(named) if id in self._finder.known and id in STRUCTURES]
        masks = {id: self._finder.find(id, cancel).mask for id in ids}
        return {id: mask for id, mask in masks.items() if mask is not None and not mask.empty}

    def _whole(self) -> list[tuple[int, str]]:
        """Evenly through the body; where there is much lung, every second slice in its window."""
        step = max(1, min(self._ct.shape[:2]) // 128)
        coarse = self._ct.hu[::step, ::step]
        body = np.flatnonzero((coarse > BODY_HU).any((0, 1)))
        low, high = (int(body[0]), int(body[-1]) + 1) if body.size else (0, self._ct.shape[2])
        shown = []
        for number, k in enumerate(_evenly(low, high, self._count)):
            tissue = coarse[:, :, k] > BODY_HU
            rows, columns = np.flatnonzero(tissue.any(1)), np.flatnonzero(tissue.any(0))
            inside = coarse[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, k] if rows.size else coarse[:1, :1, k]
            middle = inside[inside.shape[0] // 6 : -(inside.shape[0] // 6) or None]  # what lies beside the body is air
            lung = ((middle > -990) & (middle < AIR_HU + 250)).mean() > LUNGS
            shown.append((k, "lung" if lung and number % 2 else "soft"))
        return shown

    def _picture(self, k: int, window: str) -> Picture:
        level, width = WINDOWS[window]
        above = k * self._ct.spacing_mm[2]
        caption = (
            f"Axial slice {k + 1} of {self._ct.shape[2]}, {above:.0f} mm above the lowest one, {WINDOW_NAMES[window]} "
            f"window (level {level:.0f}, width {width:.0f} HU):"
        )
        return Picture(self._draw(self._ct, (), 2, k, (level, width)), caption)

    def _instruction(self, count: int, about: str) -> str:
        return (
            f"These are {count} axial slices of one CT (computed tomography, not an X-ray), {about}, from the feet to "
            "the head. In each the patient's right side is on the left (R) and the front is at the top (A); the bar is "
            "50 mm long. Say only what the slices show. Where they do not show it, say so."
        )


def _evenly(low: int, high: int, count: int) -> list[int]:
    """At most ``count`` whole numbers of ``low`` to ``high`` (half-open), evenly, both ends left out a little."""
    count = min(count, high - low)
    return [low + int((n + 0.5) * (high - low) / count) for n in range(count)]
