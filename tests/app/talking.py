"""A stand-in that talks: finds structures from labels it is given, measures them, and says so word by word.

The understanding is a search for names, which is enough for what is tested here: the page. Its masks are real ones,
from the bundled reference labels or the phantom's.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import nibabel as nib
import numpy as np

from app.scans import SAMPLES
from medvl.conversation.contract import Answer, Done, Sentence, Words
from medvl.ct.masks import Mask
from medvl.errors import Cancelled, PromptError
from medvl.language import calls
from medvl.report.parts import Section
from medvl.report.report import Report
from medvl.tools.fact import Fact
from medvl.tools.pieces import MaskRef, Step, View

from .stand_in import StandInCase, StandInModel

SAMPLE_LABELS = {"spleen": 1, "right kidney": 2, "left kidney": 3, "liver": 5, "urinary bladder": 21, "aorta": 52}


def sample_structures() -> dict[str, np.ndarray]:
    """Bool arrays of some structures of the bundled abdomen, by name."""
    labels = np.asarray(nib.as_closest_canonical(nib.load(SAMPLES / "abdomen_labels.nii.gz")).dataobj)
    return {name: labels == value for name, value in SAMPLE_LABELS.items()}


class TalkingModel(StandInModel):
    """``find_s``: how long finding a structure takes; ``word_s``: how long a word takes."""

    def __init__(self, structures: dict[str, np.ndarray], slice_s=0.0, find_s=0.0, word_s=0.0) -> None:
        super().__init__(slice_s)
        self.folder = "/secret/path"
        self.hold = threading.Event()  # while it is set, nothing new is found
        self.structures, self.find_s, self.word_s = structures, find_s, word_s

    def open(self, ct):
        return TalkingCase(self, ct)


class TalkingCase(StandInCase):
    """``ask`` and ``report_stream`` on top of the stand-in's clicks."""

    def __init__(self, model, ct) -> None:
        super().__init__(model, ct)
        self.found: dict[str, str] = {}
        self.cleared = 0
        self.history: list[str] = []
        self.conversation = SimpleNamespace(clear=self._clear, rewind=self._rewind, history=self.history, report=None)

    def _clear(self):
        self.cleared += 1
        self.history.clear()

    def _rewind(self, turns):
        del self.history[turns:]

    def ask(self, text, cancel, at=None):
        with self._job:
            # As the real one: remembered as the answer ends, also when it was stopped.
            try:
                yield from self._answer(text, cancel)
            except Cancelled:
                yield Done(Answer((), ()), stopped=True)
            self.history.append(text)

    def _answer(self, text, cancel):
        low = text.lower()
        if "crash" in low:
            raise RuntimeError(f"no file {self.model.folder}")
        if "refuse loudly" in low:
            raise PromptError("This cannot be answered here.")
        if "forget the" in low:
            for name in [n for n in self.found if n in low]:
                self.remove(self.found.pop(name))
            yield from self._say([Sentence("It is gone.", "knowledge")], calls.Remove, cancel)
            return
        if "just the" in low or "window" in low or "red" in low.split():
            yield self._view(low)
            yield from self._say([Sentence("Done.", "program")], calls.Show, cancel)
            return
        if "describe" in low:
            sentences = yield from self._find_all(list(self.model.structures), cancel)
            self.conversation.report = self._report(sentences, (Sentence("All is where it belongs.", "measured"),))
            yield from self._say(sentences, calls.Report, cancel)
            return
        names = [name for name in self.model.structures if name in low]
        if not names:
            words = "I do not know this structure. It can be the liver or the spleen."
            yield from self._say([Sentence(words, "knowledge")], calls.Refuse, cancel, refused=True)
            return
        if "against" in low:  # the last one is only measured against, and not announced
            yield from self._unseen(names.pop(), cancel)
        sentences = yield from self._find_all(names, cancel)
        slices = f"The scan has {self.ct.shape[2]} axial slices."
        yield from self._say([*sentences, Sentence(slices, "scan")], calls.Segment, cancel)

    def report_stream(self, cancel):
        with self._job:
            steps = self._find_all(list(self.model.structures), cancel)
            while True:
                try:
                    piece = next(steps)
                except StopIteration as end:
                    sentences = end.value
                    break
                if isinstance(piece, Step):
                    yield piece
            yield self._report(sentences)

    def _report(self, sentences, impression=()):
        technique = Sentence(f"CT of {self.ct.shape[2]} axial slices.", "scan")
        found = Section("Findings", ()), Section("Organs", tuple(sentences), 2)
        return Report((Section("Technique", (technique,)), *found, Section("Impression", impression)))

    def _view(self, low):
        ids = tuple(id for name, id in self.found.items() if name in low)
        if "window" in low:
            numbers = [word for word in low.split() if word.isdigit()]
            return View("window", value=" ".join(numbers) or "Lung")
        return View("colour", ids, "#ff0000") if "red" in low.split() else View("only", ids)

    def _find_all(self, names, cancel):
        sentences = []
        for name in names:
            sentences += yield from self._find(name, cancel)
        return sentences

    def _unseen(self, name, cancel):
        """Find a structure and keep quiet about it."""
        for piece in self._find(name, cancel):
            if isinstance(piece, Step):
                yield piece

    def _find(self, name, cancel):
        label = f"Segment {name}"
        known = self.masks.get(self.found.get(name))
        if known is None:
            started = time.monotonic()
            for part in range(5):
                if cancel.is_set():
                    raise Cancelled("Stopped.")
                yield Step(label, None, part / 5)
                while self.model.hold.is_set() and not cancel.is_set():
                    time.sleep(0.02)
                time.sleep(self.model.find_s / 5)
            known = self.masks.begin(Mask.from_array(self.model.structures[name]), name.capitalize())
            self.masks.remember(known)
            self.found[name] = known.id
            yield Step(label, time.monotonic() - started, 1.0, f"{self._ml(known):.0f} mL")
        yield MaskRef(known)
        fact = Fact("volume_ml", self._ml(known), "mL", (name,))
        words = f"The volume of the {name} is {self._ml(known):.0f} mL."
        hu = f"Its mean attenuation is {known.measure(self.ct).mean_hu:.0f} HU."
        return [Sentence(words, "measured", (known.id,), (fact,)), Sentence(hu, "measured", (known.id,))]

    def segment_stream(self, points=None, box=None, mask_id=None, name=None, color=None, cancel=None):
        # A mask of the chat has no prompts to grow from: clicks start from what it is.
        adopted = mask_id is not None and not self.prompts(mask_id)
        self.base = self.masks[mask_id].array if adopted else None
        yield from super().segment_stream(points, box, mask_id, name, color, cancel)

    def _goal(self, prompts):
        if self.base is None:
            return super()._goal(prompts)
        added = [p for p in prompts if getattr(p, "positive", True)]
        goal = self.base | super()._goal(added)
        for point in (p for p in prompts if p not in added):
            goal[tuple(slice(max(0, v - 4), v + 5) for v in point.ijk)] = False
        return goal

    def _ml(self, mask):
        return mask.voxels * self.ct.voxel_volume_ml

    def _say(self, sentences, tool, cancel, refused=False):
        for number, sentence in enumerate(sentences):
            for at, word in enumerate(sentence.text.split(" ")):
                if cancel.is_set():
                    done = (*sentences[:number], replace(sentence, text=sentence.text[: len(word)]))
                    yield Done(Answer((tool(),), done, refused), stopped=True)
                    return
                time.sleep(self.model.word_s)
                yield Words((" " if at else "") + word, number, sentence.source, sentence.mask_ids)
        yield Done(Answer((tool(),), tuple(sentences), refused))
