"""Calls that tell of the scan as a whole, change the page, or answer with no look at the scan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .base import UNANSWERED, About, Call, ChatTopic, Described, Kind, Plane, Reason, Region


@dataclass(frozen=True)
class Report(Call):
    """Write the report of the whole scan.

    Examples:
        "describe this scan" {"tool": "report"}
        "write me a full report please" {"tool": "report"}
    """

    tool = "report"


@dataclass(frozen=True)
class ListStructures(Call):
    """List structures: all that are here, those of a region or a kind, those that have a mask, a slice shows, are cut.

    Examples:
        "what can you see in the abdomen?" {"tool": "list", "region": "abdomen"}
        "what is on slice 60" {"tool": "list", "which": "in_slice", "plane": "axial", "number": 60}
        "which vessels do you know" {"tool": "list", "kind": "vessel"}

    Attributes:
        which: ``made``: have a mask so far; ``in_slice``: are on one slice; ``cut``: reach the border of the scan;
            ``told``: no structures but what was measured in this conversation, once more ("sum up what we measured").
        region: only those of a part of the body.
        kind: only those of a kind, and of these all that are known.
        plane: of ``in_slice``.
        number: of ``in_slice``, counted from 1; of ``told``, how many sentences are wanted at most.
    """

    tool = "list"
    which: Literal["all", "made", "in_slice", "cut", "told"] = "all"
    region: Region = ""
    kind: Kind = ""
    plane: Plane = ""
    number: int | None = None


@dataclass(frozen=True)
class Show(Described):
    """Change what the viewer shows; nothing is segmented anew but what it should go to.

    Examples:
        "hide the lungs" {"tool": "show", "action": "hide", "of": ["lungs"]}
        "go to where that was measured" {"tool": "show", "action": "centre", "of": ["f2"]}
        "coronal slice 120" {"tool": "show", "action": "slice", "plane": "coronal", "number": 120}
        "coronal view through the heart" {"tool": "show", "action": "centre", "plane": "coronal", "of": ["heart"]}
        "level 40, width 350" {"tool": "show", "action": "window", "level": 40, "width": 350}
        "make the liver red" {"tool": "show", "action": "colour", "of": ["liver"], "colour": "red"}

    Attributes:
        action: ``show`` (again), ``hide``, ``only`` (these and no other), ``centre`` (go there), ``largest_slice`` (go
            to its largest axial section), ``colour``, ``window``, ``slice``.
        of: what; left out for every mask.
        colour: of ``colour``, a name of ``vocabulary.names.COLOURS``.
        window: of ``window``, one by its name.
        plane: of ``slice``; of ``centre``, the plane that is wanted.
        number: of ``slice``, counted from 1.
        level: of ``window``, its middle in HU, where it is told in numbers.
        width: the HU from its black to its white.
    """

    tool = "show"
    action: Literal["show", "hide", "only", "centre", "largest_slice", "colour", "window", "slice"] = "centre"
    colour: str = ""
    window: Literal["", "Soft tissue", "Lung", "Bone", "Brain", "Liver", "Mediastinum"] = ""
    plane: Plane = ""
    number: int | None = None
    level: float | None = None
    width: float | None = None


@dataclass(frozen=True)
class Edit(Described):
    """Change masks.

    Examples:
        "smooth the liver by 2 mm" {"tool": "edit", "op": "smooth", "of": ["liver"], "radius_mm": 2}
        "subtract the gallbladder from the liver" {"tool": "edit", "op": "subtract", "of": ["liver", "gallbladder"]}
        "call it tumour" {"tool": "edit", "op": "rename", "of": ["it"], "name": "tumour"}
        "expand it by 5 mm" {"tool": "edit", "op": "grow", "of": ["it"], "radius_mm": 5}
        "shrink the liver mask by half a centimetre" {"tool": "edit", "op": "shrink", "of": ["liver"], "radius_mm": 5}
        "make a 3 mm shell of the heart" {"tool": "edit", "op": "hollow", "of": ["heart"], "radius_mm": 3}
        "keep only above 150 HU" {"tool": "edit", "op": "threshold", "of": ["it"], "low_hu": 150}
        "limit the aorta to -50 to 300 HU" {"tool": "edit", "op": "threshold", "of": ["aorta"], "low_hu": -50,
            "high_hu": 300}
        "split it" {"tool": "edit", "op": "split", "of": ["it"]}
        "keep what the liver and the stomach share" {"tool": "edit", "op": "intersect", "of": ["liver", "stomach"]}
        "fill in between the slices I painted" {"tool": "edit", "op": "interpolate", "of": ["it"]}

    Attributes:
        op: ``smooth``, ``fill`` (holes), ``largest`` (keep the largest piece), ``islands`` (small pieces go), ``union``
            (merge), ``subtract`` (all others from the first), ``rename``, ``undo`` or ``redo`` (of an edit), ``grow``
            or ``shrink`` (on all sides), ``hollow`` (keep a shell), ``intersect`` (keep of the first what the others
            have too), ``split`` (a mask for each piece), ``threshold`` (keep what lies in a range of HU),
            ``interpolate`` (fill slices that were left out between painted ones).
        of: which masks.
        radius_mm: the length in mm of ``smooth``, ``grow``, ``shrink`` and, as thickness, of ``hollow``.
        low_hu: of ``threshold``, the lowest HU that is kept.
        high_hu: of ``threshold``, the highest.
        name: of ``rename``, the new one.
    """

    tool = "edit"
    # new ones go last: a saved planner knows each by its place
    op: Literal[
        "smooth", "fill", "largest", "islands", "union", "subtract", "rename", "undo", "redo",
        "grow", "shrink", "hollow", "intersect", "split", "threshold", "interpolate",
    ] = "smooth"  # fmt: skip
    radius_mm: float | None = None
    low_hu: float | None = None
    high_hu: float | None = None
    name: str = ""
    changed: bool = field(default=True, kw_only=True, metadata={"hidden": True})  # False: done, and nothing came of it


@dataclass(frozen=True)
class Remove(Described):
    """Delete masks.

    Examples:
        "delete the heart" {"tool": "remove", "of": ["heart"]}
        "remove all masks" {"tool": "remove"}

    Attributes:
        of: which; left out for all that the conversation made.
    """

    tool = "remove"


@dataclass(frozen=True)
class Lookup(About):
    """Tell general knowledge, which says nothing of this scan.

    Examples:
        "what is a hounsfield unit?" {"tool": "lookup", "topic": "hounsfield_unit"}
        "what does the spleen do" {"tool": "lookup", "topic": "spleen", "of": ["spleen"]}
        "how large is a normal liver?" {"tool": "lookup", "topic": "reference_ranges", "of": ["liver"]}

    Attributes:
        topic: a structure or group (what it is and does), a word of radiology, or one of ``TOPICS``; of a finding,
            what the word means.
        of: the structures that were named.
    """

    tool = "lookup"
    topic: str = ""


@dataclass(frozen=True)
class Chat(Call):
    """Small talk, and questions about the program itself.

    Examples:
        "hello!" {"tool": "chat", "topic": "greeting"}
        "can I trust these numbers?" {"tool": "chat", "topic": "accuracy"}
        "save the mask as nifti" {"tool": "chat", "topic": "export"}

    Attributes:
        topic: what about. ``page``: what is done on the page by hand; ``edit``: how masks are edited; ``edit_none``: an
            edit that there is no tool for; ``undo``: nothing to undo; ``restart``: the conversation is to be forgotten.
    """

    tool = "chat"
    topic: ChatTopic = "greeting"


@dataclass(frozen=True)
class ReadImage(Call):
    """Have a vision-language model read the image, where no tool measures what is asked.

    Examples:
        "does the bowel look inflamed?" {"tool": "read_image", "question": "Does the bowel look inflamed?"}
        "what stands out to you in the picture"
            {"tool": "read_image", "question": "What stands out in this image?"}

    Attributes:
        question: in English, complete without the conversation.
    """

    tool = "read_image"
    question: str = ""


@dataclass(frozen=True)
class Clarify(Call):
    """Ask back: nothing, or more than one thing, fits what was said.

    Examples:
        "how big is it?" (first message) {"tool": "clarify"}
        "measure the iliac" {"tool": "clarify", "options": ["iliopsoas_muscles", "hip_bones"]}

    Attributes:
        options: ids of what may be meant; left out where it may be anything.
    """

    tool = "clarify"
    options: tuple[str, ...] = ()

    @property
    def unanswered(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class Refuse(About):
    """Leave something unanswered, and say why.

    Examples:
        "is this cancer?" {"tool": "refuse", "reason": "diagnosis"}
        "write a poem about football" {"tool": "refuse", "reason": "off_topic"}
        "don't segment the liver" {"tool": "refuse", "reason": "negated", "of": ["liver"]}

    Attributes:
        reason: ``diagnosis``, ``treatment``, ``prognosis``, ``medication``, ``emergency``; ``patient``: who it is;
            ``acquisition``: date, scanner, hospital; ``injection``: an order to break rules; ``off_topic``;
            ``negated``: the person wants it not done; ``not_understood``; ``beyond``: nothing here tells it;
            ``unjudged``: a quality that no tool judges; ``cause``: why something is so; ``pointed``: a place in the
            picture that is described and not pointed at.
        of: the structures that were named.
        words: the part of the message that was not understood, where the rest was.
    """

    tool = "refuse"
    reason: Reason = "not_understood"
    words: tuple[str, ...] = ()

    @property
    def unanswered(self) -> bool:
        """Where a look at the image might still answer."""
        return self.reason in UNANSWERED
