"""A tiny model that talks about one synthetic CT and points into it: every part is real and was taught in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from medvl.conversation.image_reader import REPORT_QUESTION
from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.networks.seg_head import SegHead

from .tiny_checkpoints import seg_head_config, teach, teach_places, vision_language_model, write_model_folder

SEEN, ANSWER = "Does the picture look blurred?", "the liver [SEG] is large . the spleen [SEG] is normal ."
THEN, NEXT = "And what else does the image show?", "it is normal ."
REPORT = "the liver is large . the spleen is normal ."
SHAPE = (40, 36, 12)
LIVER, SPLEEN = ((22, 10, 6), (34, 26, 12)), ((6, 10, 0), (16, 24, 6))  # half-open boxes


@dataclass(frozen=True)
class Talking:
    """A model folder, the CT that it can talk about, and the organs in it."""

    folder: Path
    ct: CTVolume
    organs: tuple[np.ndarray, np.ndarray]


def scan() -> tuple[CTVolume, tuple[np.ndarray, np.ndarray]]:
    """A body of water with two bright boxes, in air."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[2:-2, 2:-2] = 0
    organs = []
    for (low, high), value in ((LIVER, 110), (SPLEEN, 140)):
        organ = np.zeros(SHAPE, bool)
        organ[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
        hu[organ] = value
        organs.append(organ)
    affine = np.diag([4.0, 4.0, 5.0, 1.0])
    return CTVolume(hu, affine, SourceGeometry(hu.shape, affine)), tuple(organs)


def write(folder: Path, model, question: str = SEEN) -> Talking:
    """Teach and save it.

    Args:
        folder: written into.
        model: ``medvl.load()``.
        question: that it answers with ``ANSWER``.
    """
    ct, organs = scan()
    vlm, head = vision_language_model(), SegHead(seg_head_config())
    seen = vlm.look(ct, stages=head.config.stages(vlm.encoder.config.channels))
    tokens, maps = seen.tokens.clone(), [m.clone() for m in seen.maps]
    teach(vlm, tokens, [[(question, ANSWER), (THEN, NEXT)], [(REPORT_QUESTION, REPORT)]])
    states = torch.stack([t.state for t in vlm.conversation(tokens).ask(question) if t.state is not None])
    grid = maps[0].shape[1:]
    targets = []
    for organ in organs:
        part = organ[tuple(slice(a, b) for a, b in zip(seen.low, seen.high, strict=True))]
        shown = torch.from_numpy(np.ascontiguousarray(part.transpose(2, 1, 0)[:, ::-1, ::-1]).astype(np.float32))
        targets.append(torch.nn.functional.interpolate(shown[None, None], grid, mode="trilinear")[0, 0] > 0.5)
    teach_places(head, maps, states.clone(), torch.stack(targets))
    write_model_folder(folder, model, vlm, head)
    return Talking(folder, ct, organs)
