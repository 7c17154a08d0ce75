"""What ``overfit`` teaches about its scans, and whether the saved model answers and segments as it was taught."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from ...model import MedVLSAM2, load
from ...prompting.pointing import SegSegmenter
from ...readers import read_ct
from ...vocabulary.spoken import listing, sentence
from ..datasets.names import be, spoken
from ..datasets.samples import SEG, Sample, Turn, read_masks

if TYPE_CHECKING:
    from ...case import Case
    from ...networks.vlm import Seen

ORGANS = (
    "liver", "spleen", "right_kidney", "left_kidney", "aorta", "heart", "right_lung", "left_lung", "urinary_bladder",
)  # fmt: skip
PAIR = ("right_kidney", "left_kidney")
MAX_TOKENS = 64
Result = TypeVar("Result")


@dataclass(frozen=True)
class Score:
    """How well one taught structure is segmented by the saved model.

    Attributes:
        case: id of the scan.
        structure: its name.
        question: as it was taught.
        answer: what the model said.
        taught: what it should have said.
        coarse: Dice of the coarse map from the [SEG] state, on the voxels of the CT; 0 where it finds nothing.
        dice: the same of the final mask, which SAM 2 delineates.
    """

    case: str
    structure: str
    question: str
    answer: str
    taught: str
    coarse: float
    dice: float


def lesson(sample: Sample) -> Sample:
    """A labelled scan with what a person would ask: each large organ that it shows, a pair, and what needs no mask.

    The caption names the same organs. The turns without a mask are those that the dataset draws (what is measured, what
    is there and what is not).
    """
    here = [name for name in ORGANS if name in sample.masks]
    turns = [Turn(f"Segment the {spoken(n)}.", _pointing([n]), (n,), "semantic") for n in here]
    if set(PAIR) <= set(here):
        turns.append(Turn("Segment both kidneys.", _pointing(PAIR), PAIR, "semantic"))
    turns += [turn for turn in sample.turns if not turn.targets]
    shown = listing([f"the {spoken(name)}" for name in here])
    return replace(sample, turns=tuple(turns), captions=(f"This CT shows {shown}.",))


def _pointing(names: list[str] | tuple[str, ...]) -> str:
    """An answer with one [SEG] for each structure."""
    return sentence(listing([f"the {spoken(n)} {be(n)} {SEG}" for n in names])) + "."


def check(folder: Path, samples: list[Sample]) -> dict:
    """Load the saved model as anybody would and ask all that it was taught.

    Args:
        folder: of the model.
        samples: of ``lesson``.

    Returns:
        ``"answers"``: how many of the taught questions without a mask are answered word for word as taught, and of how
        many; ``"structures"``: a ``Score`` for each taught structure, as a dictionary.
    """
    model = load(str(folder), "cpu", "none")
    right = asked = 0
    scores: list[Score] = []
    for sample in samples:
        case = model.open(read_ct(sample.ct))
        stages = model.networks.seg_head.config.stages(model.vlm.encoder.config.channels)
        seen = model.vlm.look(case.ct, stages=stages)
        for turn in sample.turns:
            answer, states = answer_of(model, seen, turn.question)
            if not turn.targets:
                asked, right = asked + 1, right + (answer == turn.answer)
            elif len(turn.targets) == 1:
                scores.append(_score(model, case, seen, sample, turn, answer, states))
        case.close()
    return {"answers": [right, asked], "structures": [asdict(score) for score in scores]}


def answer_of(model: MedVLSAM2, seen: Seen, question: str) -> tuple[str, list[torch.Tensor]]:
    """Answer and [SEG] states of a first question."""
    tokens = list(model.vlm.conversation(seen.tokens).ask(question, MAX_TOKENS))
    return "".join(t.text for t in tokens), [t.state for t in tokens if t.state is not None]


def _score(
    model: MedVLSAM2, case: Case, seen: Seen, sample: Sample, turn: Turn, answer: str, states: list[torch.Tensor]
) -> Score:
    wanted = read_masks(sample, case.ct, turn.targets)[turn.targets[0]]
    coarse = final = None
    if states:
        work = SegSegmenter(model.networks.seg_head, seen, case.segmenter)
        coarse, final = work.coarse(states[0]), exhaust(work.segment(states[0]))
    return Score(
        sample.id,
        spoken(turn.targets[0]),
        turn.question,
        answer,
        turn.answer,
        _dice(coarse, wanted),
        _dice(final, wanted),
    )


def _dice(array: np.ndarray | None, wanted: np.ndarray) -> float:
    """Dice of a mask, or of none, with a reference that is not empty; three decimals."""
    if array is None:
        return 0.0
    wanted = np.asarray(wanted, bool)
    return round(2 * int((array & wanted).sum()) / int(array.sum() + wanted.sum()), 3)


def exhaust(work: Generator[object, None, Result]) -> Result:
    """What a generator returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def rows(result: dict) -> Iterator[str]:
    """The result of ``check`` as lines of a table."""
    right, asked = result["answers"]
    yield f"questions without a mask answered as taught: {right} of {asked}"
    yield f"{'structure':<18}{'case':<14}{'coarse Dice':>12}{'[SEG] Dice':>12}  answer"
    for score in result["structures"]:
        dice = f"{score['coarse']:>12.3f}{score['dice']:>12.3f}"
        yield f"{score['structure']:<18}{score['case']:<14}{dice}  {score['answer']}"
    if found := [score["dice"] for score in result["structures"]]:
        yield f"{'mean':<32}{np.mean([s['coarse'] for s in result['structures']]):>12.3f}{np.mean(found):>12.3f}"
