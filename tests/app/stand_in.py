"""A model without weights: grows a region of like HU, slice by slice, with the real ``Case``'s list and history.

It makes the page's behaviour testable in milliseconds, and slow enough to stop where a test wants that.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch
from scipy import ndimage

from medvl.case import Case, SegmentUpdate
from medvl.conversation.state import State
from medvl.ct.mask_list import MaskList
from medvl.ct.masks import Mask, with_stops
from medvl.ct.prompts import Box, Point
from medvl.errors import Cancelled, PromptError
from medvl.tools.scene import Scene


class StandInModel:
    """What ``medvl.load`` would give; ``slice_s`` is how long a slice takes."""

    def __init__(self, slice_s: float = 0.0) -> None:
        self.slice_s = slice_s
        self.device = torch.device("cpu")

    def open(self, ct):
        return StandInCase(self, ct)

    def notices(self):
        return []


class StandInCase(Case):
    """The case's masks and history, without its networks."""

    def __init__(self, model, ct) -> None:
        self.model, self.ct = model, ct
        self.masks = MaskList()
        self.encoder = SimpleNamespace(nbytes=0, clear=lambda: 0)
        self.finder = SimpleNamespace(nbytes=0, found=(), recall=lambda found: None)
        self.conversation = SimpleNamespace(
            report=None, history=(), state=State(), recall=lambda *given: None, scene=Scene(ct)
        )
        self.reader = None
        self._job = threading.Lock()

    def segment_stream(self, points=None, box=None, mask_id=None, name=None, color=None, cancel=None):
        points, cancel = list(points or []), cancel or threading.Event()
        with self._job:
            if mask_id is None:
                mask = self.masks.begin(Mask.from_array(np.zeros(self.ct.shape, bool)), name)
                prompts = []
            else:
                mask, prompts = self.masks.known(mask_id), self.prompts(mask_id)
            if cancel.is_set():
                raise Cancelled("Stopped before the first slice was ready.")
            prompts = [*prompts, *points, *([box] if box else [])]
            goal = self._goal(prompts)
            if not goal.any():
                raise PromptError("Nothing was found there.")
            array, done, stopped, changed = mask.array, 0, False, None
            first = points[0].ijk[2] if points else (box.lo[2] + box.hi[2] - 1) // 2
            order = sorted(range(goal.shape[2]), key=lambda k: abs(k - first))
            order = [k for k in order if goal[:, :, k].any() or array[:, :, k].any()]
            for k in order:
                if cancel.is_set():
                    stopped = True
                    break
                time.sleep(self.model.slice_s)
                array[:, :, k] = goal[:, :, k]
                done += 1
                mask = mask.with_array(array)
                changed = Box((0, 0, k), (goal.shape[0], goal.shape[1], k + 1))
                stage = "slice" if done == 1 else "propagating"
                yield SegmentUpdate(
                    mask, changed, done, len(order), stage, False, self.model.slice_s * (len(order) - done)
                )
            ends = with_stops((), 2, [k]) if stopped else ()
            mask = replace(self.masks.with_labels(mask), ends=ends)
            self.masks.remember(mask, SimpleNamespace(prompts=tuple(prompts), slices={}))
            yield SegmentUpdate(mask, changed, done, done, "done", stopped, 0.0)

    def follow_stream(self, mask_id, cancel=None):
        prompts = self.prompts(mask_id)
        yield from self.segment_stream([p for p in prompts if isinstance(p, Point)], mask_id=mask_id, cancel=cancel)

    def _goal(self, prompts) -> np.ndarray:
        """Voxels of like HU, connected to the prompts; negative points cut their own neighbourhood away."""
        hu, goal = np.asarray(self.ct.hu), np.zeros(self.ct.shape, bool)
        # What is added first, then what is taken away.
        for prompt in sorted(prompts, key=lambda p: isinstance(p, Point) and not p.positive):
            positive = not isinstance(prompt, Point) or prompt.positive
            if isinstance(prompt, Box):
                seed = tuple((a + b) // 2 for a, b in zip(prompt.lo, prompt.hi, strict=True))
            else:
                seed = prompt.ijk
            if positive:
                labels, _ = ndimage.label(np.abs(hu - int(hu[seed])) < 25)
                goal |= labels == labels[seed]
            else:
                low = [max(0, v - 4) for v in seed]
                goal[tuple(slice(a, v + 5) for a, v in zip(low, seed, strict=True))] = False
        return goal
