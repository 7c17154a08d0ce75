"""What every call has: what it is used on, and what may be said of that."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar, get_args

from ...vocabulary.names import STRUCTURES

LISTED = re.compile(r"\blisted\d+\b")
"""In a message, a word that stands for a mask of the list by its own name: ``listed2`` for the one with id ``m2``."""

IT = "it"

REFERENCE = re.compile(r"it|other|clicked|crosshair|f\d+|m\d+")
"""What ``of`` may hold beside ids; the package says what each means."""

Side = Literal["", "left", "right"]
Way = Literal["", "left", "right", "above", "below", "front", "behind"]
Pick = Literal["", "larger", "smaller", "brighter", "darker"]
Unit = Literal["", "mm", "cm", "cc", "L"]
Plane = Literal["", "axial", "coronal", "sagittal"]
Region = Literal["", "head_neck", "chest", "abdomen", "pelvis"]
Kind = Literal["", "organ", "vessel", "bone", "airway", "nerve", "muscle"]
Part = Literal["", "root", "ascending", "arch", "descending", "thoracic", "abdominal", "suprarenal", "infrarenal"]
Attribute = Literal[
    "volume", "mean_hu", "hu_range", "diameter", "extent", "position", "slices", "largest_slice", "count", "voxels",
    "weight", "rim",
]  # fmt: skip
FindingId = Literal[
    "steatosis", "liver_spleen_difference", "splenomegaly", "hepatomegaly", "emphysema", "pleural_effusion",
    "cardiomegaly", "aortic_aneurysm", "aortic_calcification", "bone_density", "gallstones", "renal_stones",
    "kidney_asymmetry",
]  # fmt: skip
ChatTopic = Literal[
    "greeting", "thanks", "goodbye", "acknowledge", "identity", "capabilities", "limits", "accuracy", "responsible",
    "privacy", "sources", "units", "other_units", "spread", "start", "not_seen", "export", "page", "edit", "edit_none",
    "undo", "restart", "report_form", "wording", "insult",
]  # fmt: skip
Reason = Literal[
    "diagnosis", "treatment", "prognosis", "medication", "emergency", "patient", "acquisition", "injection",
    "off_topic", "negated", "not_understood", "beyond", "unjudged", "cause", "pointed",
]  # fmt: skip
UNANSWERED = frozenset({"not_understood", "beyond", "unjudged", "cause", "pointed"})
"""Reasons for which another tool, a look at the image for instance, might still answer."""

TOPICS = (
    "hounsfield_unit", "brightness", "typical_hu", "contents", "ct", "ct_mri", "contrast", "contrast_phase", "window",
    "planes", "left_right", "voxel", "artifact", "radiation", "segmentation", "measurement", "system", "modality",
    "nifti_dicom", "reference_ranges", "not_found", "no_text", "weight", "vertebral_level", "aorta_parts",
    *get_args(FindingId), "fluid_kind", "margin",
)  # fmt: skip
"""What ``lookup`` has a text on, beside structures, groups and the words of ``glossary``."""


@dataclass(frozen=True)
class Call:
    """One use of a tool. What it has no field for is at its default here, so that every call can be asked for it."""

    tool = ""  # no annotations: these are no fields, and must not hide those of a class that has them
    of = unknown = nearest = ()
    description = choose = unit = claim = which = part = ""
    decimals = None

    @property
    def structures(self) -> tuple[str, ...]:
        """Ids of structures that it is about, in the order spoken."""
        return tuple(id for id in self.of if id in STRUCTURES)

    @property
    def attribute(self) -> str:
        """The quality that it tells of structures, as in ``Attribute``; "" where it tells none."""
        return ""

    @property
    def unanswered(self) -> bool:
        """Whether it says that nothing was understood or can be measured for what was asked."""
        return False


# ``field(kw_only=True)``, not ``KW_ONLY``: ``get_type_hints`` of Python 3.10 does not know that.
@dataclass(frozen=True)
class About(Call):
    """A call about structures.

    Attributes:
        of: what it is used on.
        unknown: what a person named that no structure stands for, in their words.
    """

    of: tuple[str, ...] = ()
    unknown: tuple[str, ...] = field(default=(), kw_only=True)
    # known structures to offer instead
    nearest: tuple[str, ...] = field(default=(), kw_only=True, metadata={"hidden": True})


@dataclass(frozen=True)
class Described(About):
    """A call about structures that a person may describe instead of naming them.

    Attributes:
        description: the words that describe what is meant, where it is not named; ``of`` is what they were taken for.
        choose: which one of ``of`` is meant, where the scan decides ("the larger kidney": of both, the larger).
    """

    description: str = field(default="", kw_only=True)
    choose: Pick = field(default="", kw_only=True)


@dataclass(frozen=True)
class Valued(About):
    """A call whose answer has values.

    Attributes:
        unit: the unit that values are wanted in; left out for the usual one (mL, mm, HU).
        decimals: how many places after the point are wanted.
    """

    unit: Unit = field(default="", kw_only=True)
    decimals: int | None = field(default=None, kw_only=True)


def mask_of(word: str) -> str:
    """Id of the mask that a ``LISTED`` word stands for."""
    return f"m{word.removeprefix('listed')}"


AnyCall = TypeVar("AnyCall", bound=Call)


def changed(call: AnyCall, **values: Any) -> AnyCall:
    """A call with other values in those of the fields that its tool has."""
    known = {f.name for f in fields(call)}
    return replace(call, **{name: value for name, value in values.items() if name in known})


def turned(call: Call, tool: type[AnyCall], **values: Any) -> AnyCall:
    """Another tool used on the same: what it shares with the call (structures, choice, unit), and values of its own."""
    shared = {f.name for kind in (Described, Valued) for f in fields(kind)} & {f.name for f in fields(tool)}
    return tool(**{name: getattr(call, name) for name in shared} | values)
