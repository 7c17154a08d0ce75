"""What the rooms of this package hand to one another: a request, what was found for it, facts, sentences, pieces.

    words -> ``intent.parse`` -> Request -> ``Finder.find`` -> Found -> ``facts`` -> Fact -> ``sentences`` -> Sentence

A number reaches the reader only as the value of a ``Fact``, and a fact says where it comes from.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol

from ..masks import Mask
from ..volume import CTVolume

# In this order of trust: the file's header and geometry; masks measured in this session; a network's own reading of the
# image; general knowledge that says nothing of this scan. "program" is what the program did or says of itself ("I hid
# the spleen"): it states nothing of the scan.
Source = Literal["scan", "measured", "model", "knowledge", "program"]


LISTED = re.compile(r"\blisted\d+\b")
"""In a message, a word that stands for a mask of the list by its own name ("Object 2"): ``listed`` and its place."""
POINTED = "it"


class Intent(str, Enum):
    """What a person wants."""

    SEGMENT = "segment"  # show me the liver
    MEASURE = "measure"  # one attribute of structures: volume, HU, diameter, slices, position
    COMPARE = "compare"  # two structures by an attribute: larger, brighter, symmetric
    RELATION = "relation"  # where one structure lies to another: left of, above, distance, touching, nearest
    PRESENCE = "presence"  # is there a gallbladder
    FINDING = "finding"  # a published rule: steatosis, emphysema, aneurysm, stones, ...
    SCAN = "scan"  # spacing, size, orientation, contrast phase, field of view
    REPORT = "report"  # describe this scan
    LIST = "list"  # what can you see, what can you find
    REMOVE = "remove"  # forget a mask that the chat made
    EDIT = "edit"  # change masks: smooth, fill, merge, subtract, rename
    VIEW = "view"  # hide, show again, show only, go to, colour, another window
    KNOWLEDGE = "knowledge"  # what is a Hounsfield unit
    CHAT = "chat"  # hello, thanks, what can you do
    REFUSE = "refuse"  # diagnosis, treatment, prognosis, outside the subject, "don't segment"
    UNKNOWN = "unknown"  # not understood


@dataclass(frozen=True)
class Request:
    """One thing that a person asked for. A message may hold several.

    Attributes:
        intent: what is wanted.
        structures: ids of ``vocabulary.STRUCTURES`` in the order spoken; groups ("lungs") are already their parts.
        attribute: of MEASURE and COMPARE: ``volume``, ``mean_hu``, ``diameter``, ``slices``, ``position``, ``extent``,
            ``count``, ``voxels``, ``hu_range``, ``largest_slice`` (where its axial section is largest); of COMPARE also
            ``share``: how much ``structures`` make up of ``whole``; of SCAN: ``spacing``, ``size``, ``contrast``,
            ``orientation``, ``coverage``, ``hu_range``, ``slices``; of LIST: ``made`` (which have a mask so far),
            ``slice`` (what one shows), ``cut`` (which reach the border of the scan), a region of the body, or a kind
            of ``vocabulary.Structure`` (which of it are known); of VIEW: ``hide``, ``show``, ``only``, ``centre``,
            ``colour``, ``window``, ``slice``; of EDIT: ``smooth``, ``fill``, ``largest`` (keep the largest piece),
            ``islands`` (small pieces go), ``union``, ``subtract`` (all others from the first), ``rename``, ``undo``,
            ``redo``, or "" where nothing was changed; else "".
        relation: of RELATION: ``side`` (left of or right of), ``above`` (above or below), ``front`` (in front of or
            behind), ``distance``, ``touching``, ``nearest`` (with a ``claim``: on that side only), ``direction``
            (where does it lie to the other), ``between`` (what lies between the last two; of three, whether the first
            does); else "".
        claim: what the person supposes, to be confirmed or denied: ``left``, ``right``, ``above``, ``below``,
            ``front``, ``behind``, ``touching``, ``larger``, ``smaller``, ``brighter``, ``darker``, ``absent``; else "".
        finding: of FINDING, an id of ``findings.FINDINGS``; else "".
        topic: of KNOWLEDGE, CHAT and REFUSE: what it is about, an id of ``knowledge``; of SEGMENT and MEASURE what is
            said besides, such an id; of VIEW and LIST the window, the colour, or the plane and number of the slice
            (``largest``: the one where a structure is); of EDIT the new name, or the radius in mm; else "".
        unknown: words taken for a structure that is not known; ``LISTED`` words stand for masks of the list.
        nearest: known names closest to ``unknown``, to offer.
        referring: the description a structure was found by ("the larger kidney"), ``POINTED`` where an EDIT names
            nothing ("smooth it"), else "".
        choose: how to choose one of ``structures`` when the words need the scan: ``larger``, ``smaller``, ``brighter``,
            ``darker``; else "".
        which: of COMPARE that asks which of ``structures`` it is: ``larger``, ``smaller``, ``brighter``, ``darker``, or
            how many times the second the first is: ``ratio``;
            of MEASURE ``total``: the sum is wanted; else "". What is asked next about "it" is about the one that the
            answer named.
        whole: of COMPARE by ``share``, what the structures are a part of; else what their sum is compared with.
        unit: in which unit values are wanted: ``cm``, ``mm``, ``L``, ``cc``; "" for the usual one.
        decimals: how many places after the point are wanted; None for the usual number.
        left: of the last request of a message, what else was asked in it and is not answered.
    """

    intent: Intent
    structures: tuple[str, ...] = ()
    attribute: str = ""
    relation: str = ""
    claim: str = ""
    finding: str = ""
    topic: str = ""
    unknown: tuple[str, ...] = ()
    nearest: tuple[str, ...] = ()
    referring: str = ""
    choose: str = ""
    which: str = ""
    whole: tuple[str, ...] = ()
    unit: str = ""
    decimals: int | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What looking for a structure gave.

    Attributes:
        structure: id.
        mask: on the grid of the CT; None unless ``status`` is ``"found"``.
        status: ``"found"``; ``"absent"``: looked for, and not in this scan; ``"unknown"``: no such class in the model.
        cut: sides of the scan that the mask touches, among L R P A I S: it may go on outside the field of view.
        seconds: time it took; 0 when it was known already.
        note: of a single vertebra how it was counted, or why it cannot be told which it is; else "".
    """

    structure: str
    mask: Mask | None
    status: Literal["found", "absent", "unknown"] = "found"
    cut: tuple[str, ...] = ()
    seconds: float = 0.0
    note: str = ""


class Finder(Protocol):
    """Finds structures in one CT by name: the localiser and SAM 2 in the product, reference labels in tests.

    Results are kept: finding a structure again is free. A mask found is a mask of the case, with an id.
    """

    ct: CTVolume

    @property
    def known(self) -> frozenset[str]:
        """Ids that ``find`` can look for."""

    def find(
        self,
        structure: str,
        cancel: threading.Event | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Found:
        """Look for one structure.

        Args:
            structure: an id of ``known``; another gives status ``"unknown"``.
            cancel: set it to stop within one slice.
            progress: called with the share done, 0 to 1.

        Raises:
            Cancelled: ``cancel`` was set.
        """


@dataclass(frozen=True)
class Fact:
    """One value that an answer may state.

    Attributes:
        key: what it is, for instance ``volume_ml``, ``mean_hu``, ``distance_mm``, ``contrast``.
        value: the value; None when the scan does not allow it, ``note`` says why.
        unit: ``"mL"``, ``"HU"``, ``"mm"``, ``"%"`` or "".
        structures: ids it is about.
        source: where it comes from.
        note: limits of the value, or why there is none.
        reference: publication and threshold behind an interpretation, else "".
    """

    key: str
    value: float | int | str | bool | None
    unit: str = ""
    structures: tuple[str, ...] = ()
    source: Source = "measured"
    note: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Sentence:
    """One sentence for the reader, with the masks it speaks of and the facts it was made from."""

    text: str
    source: Source
    mask_ids: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Answer:
    """All that one message was answered with. ``refused``: nothing was segmented or measured, and the text says why."""

    requests: tuple[Request, ...]
    sentences: tuple[Sentence, ...]
    refused: bool = False

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(sentence.text for sentence in self.sentences)


# ---- pieces of a streamed answer, in the order a person sees them


@dataclass(frozen=True)
class Step:
    """A tool step: begun (``seconds`` None, shown as running) or done. The same ``label`` means the same step.

    Attributes:
        label: for instance "Segment liver".
        seconds: None while it runs.
        share: share done, 0 to 1.
        outcome: in words when done, for instance "1,512 mL" or "not in this scan".
    """

    label: str
    seconds: float | None = None
    share: float = 0.0
    outcome: str = ""


@dataclass(frozen=True)
class MaskRef:
    """A mask that the answer speaks of; it is in the case already."""

    mask: Mask


@dataclass(frozen=True)
class View:
    """Something for the viewer to do; the masks exist.

    Attributes:
        action: ``hide``, ``show``, ``only`` (these and no other), ``centre``, ``colour``, ``window`` or ``slice``.
        mask_ids: of which masks.
        value: of ``colour`` ``#rrggbb``, of ``window`` its name, of ``slice`` axis and index (from 0): ``"2 49"``;
            else "".
    """

    action: Literal["hide", "show", "only", "centre", "colour", "window", "slice"]
    mask_ids: tuple[str, ...] = ()
    value: str = ""


@dataclass(frozen=True)
class Words:
    """A few words of a sentence, to be appended; ``sentence`` numbers it within the answer."""

    text: str
    sentence: int = 0
    source: Source = "measured"
    mask_ids: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Done:
    """The end: the whole answer; ``stopped`` if it was cut short."""

    answer: Answer
    stopped: bool = False


Piece = Step | MaskRef | View | Words | Done


class MaskList(Protocol):
    """The list of masks that a person sees, with the history of each: a ``Case``."""

    masks: dict[str, Mask]
    clicked: str | None  # the mask that clicks went to since the last message, if any did

    def put(self, mask: Mask) -> Mask:
        """Add or replace a mask, as a step that can be undone."""

    def relabel(self, mask_id: str, name: str | None = None, color: str | None = None) -> Mask:
        """Another name or colour."""

    def remove(self, mask_id: str) -> None:
        """Delete a mask and its history."""

    def undo(self, mask_id: str) -> Mask | None:
        """Take the last step of a mask back."""

    def redo(self, mask_id: str) -> Mask | None:
        """Do it again."""

    def next_color(self) -> str:
        """A colour that no mask has."""


class Reader(Protocol):
    """Answers from the image itself (the vision-language model in the product), every sentence with source "model"."""

    def read(
        self, question: str, told: list[Sentence], cancel: threading.Event | None = None, fresh: bool = False
    ) -> Iterator[Step | MaskRef | Words]:
        """Answer a question.

        Args:
            question: what a person typed.
            told: sentences of the answer so far; those of the reading are appended as they grow.
            cancel: set it to stop within one token.
            fresh: as if nothing had been said before.

        Yields:
            A step, words as they are generated, and masks that the model points to.

        Raises:
            Cancelled: ``cancel`` was set; what was told stays.
        """

    def read_report(
        self, told: list[Sentence], cancel: threading.Event | None = None
    ) -> Iterator[Step | MaskRef | Words]:
        """Describe the image, as ``read`` does; kept, so that a report holds the same words as the answer before."""

    def clear(self) -> None:
        """Forget what was said."""
