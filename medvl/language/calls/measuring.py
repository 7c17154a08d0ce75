"""Calls that find, measure and compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...vocabulary.names import STRUCTURES
from .base import About, Attribute, Call, Described, FindingId, Part, Pick, Region, Side, Valued, Way


@dataclass(frozen=True)
class Measuring(Described, Valued):
    """A call that measures structures one by one."""


@dataclass(frozen=True)
class Comparing(Valued):
    """A call that compares structures by a value."""


@dataclass(frozen=True)
class Relating(Valued):
    """A call on how structures lie to one another."""


@dataclass(frozen=True)
class Segment(Described, Valued):
    """Make masks of structures, each with its volume. Also "show me" and "where is" for what has no mask yet.

    Examples:
        "outline both kidneys" {"tool": "segment", "of": ["kidneys"]}
        "segment the prostate and the bladder" {"tool": "segment", "of": ["urinary_bladder"], "unknown": ["prostate"]}
        "mark the organ that stores bile"
            {"tool": "segment", "of": ["gallbladder"], "description": "the organ that stores bile"}

    Attributes:
        part: the part of the aorta that is meant, where one is named.
    """

    tool = "segment"
    part: Part = ""


@dataclass(frozen=True)
class Measure(Measuring):
    """Tell one attribute of each structure; a question for two attributes is two calls.

    Examples:
        "how big is the larger kidney, in cm?"
            {"tool": "measure", "what": "extent", "of": ["kidneys"], "choose": "larger", "unit": "cm"}
        "is the liver on the left?" {"tool": "measure", "what": "position", "of": ["liver"], "claim": "left"}
        "diameter of the infrarenal aorta"
            {"tool": "measure", "what": "diameter", "of": ["aorta"], "part": "infrarenal"}
        "is the spleen more than half a litre"
            {"tool": "measure", "of": ["spleen"], "than": 500, "than_is": "more"}
        "how much of the liver is below 40 HU" {"tool": "measure", "of": ["liver"], "high_hu": 40}

    Attributes:
        what: the attribute. ``volume``: mL ("how big", of an organ); ``mean_hu``: density, attenuation, brightness;
            ``hu_range``: least, median and greatest HU; ``diameter``: width, calibre, longest diameter ("how big", of a
            tube); ``extent``: length, width and depth; ``position``: where it lies, on which side; ``slices``: from
            which slice to which; ``largest_slice``: the axial slice with its largest section, and that area;
            ``count``: how many there are; ``voxels``: of its mask; ``weight``: which no CT tells (the volume is told);
            ``rim``: of a spot, the HU of its middle, its edge and what surrounds it ("rim enhancing?").
        claim: of ``position``, the side that the person supposes.
        part: the part of the aorta that is meant, where one is named.
        than: the value in mL, mm or HU that a person holds it against.
        than_is: whether they ask if it is ``more`` or ``less``.
        low_hu: of ``volume``, the lowest HU of what is counted, where only a range of HU is asked for.
        high_hu: the highest.
        margin_mm: how far the outline is moved for the measurement, the mask staying as it is; negative is inwards
            ("mean HU of the liver, eroded by 3 mm": -3).
        margin_voxels: the same in voxels.
    """

    tool = "measure"
    what: Attribute = "volume"
    claim: Side = ""
    part: Part = ""
    than: float | None = None
    than_is: Literal["", "more", "less"] = ""
    low_hu: float | None = None
    high_hu: float | None = None
    margin_mm: float | None = None
    margin_voxels: float | None = None

    @property
    def attribute(self) -> str:
        """What is measured."""
        return self.what


@dataclass(frozen=True)
class Total(Measuring):
    """Add the volumes of structures or of earlier results, each told besides.

    Examples:
        "total lung volume" {"tool": "total", "of": ["lungs"]}
        "liver and spleen together, in litres" {"tool": "total", "of": ["liver", "spleen"], "unit": "L"}
        "liver plus spleen minus gallbladder"
            {"tool": "total", "of": ["liver", "spleen"], "against": ["gallbladder"]}

    Attributes:
        against: what is taken away from the sum.
    """

    tool = "total"
    against: tuple[str, ...] = ()

    @property
    def attribute(self) -> str:
        """Volumes are what adds up."""
        return "volume"


@dataclass(frozen=True)
class Compare(Comparing):
    """Say which of two structures has more of an attribute, and by how much. Three and more are ``rank``.

    Examples:
        "is the left kidney larger than the right?"
            {"tool": "compare", "of": ["left_kidney", "right_kidney"], "claim": "larger"}
        "which is denser, liver or spleen?"
            {"tool": "compare", "by": "mean_hu", "of": ["liver", "spleen"], "which": "brighter"}
        "how many times the spleen is the liver?" {"tool": "compare", "of": ["liver", "spleen"], "ratio": true}

    Attributes:
        by: the attribute.
        claim: what the person supposes of the first: to be confirmed or denied.
        which: what is asked for, of a question "which of the two is larger".
        ratio: whether it is asked how many times the second the first is.
        against: a second side, where sums are compared ("is the liver larger than both kidneys together": ``of`` the
            liver, ``against`` the kidneys).
    """

    tool = "compare"
    by: Literal["volume", "mean_hu", "diameter", "extent"] = "volume"
    claim: Pick = ""
    which: Pick = ""
    ratio: bool = False
    against: tuple[str, ...] = ()

    @property
    def attribute(self) -> str:
        """What is compared."""
        return self.by


@dataclass(frozen=True)
class Changes(About):
    """Compare masks with those of the same names in an earlier scan that was opened beside this one.

    For one scan held against another ("last time", "before", "prior", "previous", "baseline", "grown", "progression");
    what is compared within one scan is ``compare``. Volumes now and before are told, never a diagnosis.

    Examples:
        "what changed?" {"tool": "changes"}
        "compare the liver with last time" {"tool": "changes", "of": ["liver"]}
        "have the kidneys grown since the prior scan?" {"tool": "changes", "of": ["kidneys"]}
        "how does the spleen compare to the baseline CT" {"tool": "changes", "of": ["spleen"]}

    Attributes:
        of: what is compared; left out for all that has a mask in both scans.
    """

    tool = "changes"


@dataclass(frozen=True)
class Rank(Comparing):
    """Order structures by an attribute, or tell the first of them all.

    Examples:
        "sort all organs by size" {"tool": "rank"}
        "which of liver, spleen and heart is the densest?"
            {"tool": "rank", "by": "mean_hu", "of": ["liver", "spleen", "heart"], "which": "brighter"}

    Attributes:
        of: what is ordered; left out for every organ.
        by: the attribute.
        which: ``larger`` or ``brighter`` for the largest or brightest, ``smaller`` or ``darker`` for the least; left
            out where the whole order is wanted.
    """

    tool = "rank"
    by: Literal["volume", "mean_hu", "diameter", "extent"] = "volume"
    which: Pick = ""

    @property
    def attribute(self) -> str:
        """What they are ordered by."""
        return self.by


@dataclass(frozen=True)
class Share(Comparing):
    """Say how many percent of a whole some structures make up, by volume.

    Examples:
        "what percentage of the body is bone?" {"tool": "share", "of": ["bones"], "whole": ["body"]}
        "how much of the right lung is its upper lobe"
            {"tool": "share", "of": ["right_upper_lobe"], "whole": ["right_lung"]}

    Attributes:
        whole: what they are a part of.
    """

    tool = "share"
    whole: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relate(Relating):
    """Say how the first structure lies to the second (to each of the others).

    Examples:
        "how far is the aorta from the spine?"
            {"tool": "relate", "kind": "distance", "of": ["aorta", "vertebral_column"]}
        "does the stomach lie above the pancreas?"
            {"tool": "relate", "kind": "above", "of": ["stomach", "pancreas"], "claim": "above"}
        "dice of the liver and m2" {"tool": "relate", "kind": "overlap", "of": ["liver", "m2"]}

    Attributes:
        kind: ``distance``, ``touching``, ``side`` (left or right of it), ``above`` (above or below it), ``front`` (in
            front of or behind it), ``overlap`` (what both masks hold, and their Dice), ``surface`` (how far the first
            is from the outside of what holds it: the second, or the organ that it lies in; "how deep below the skin",
            "from the capsule"), or ``direction`` where none of these is meant alone.
        claim: what the person supposes of the first: to be confirmed or denied.
    """

    tool = "relate"
    # new ones go last: a saved planner knows each by its place
    kind: Literal["direction", "distance", "touching", "side", "above", "front", "overlap", "surface"] = "direction"
    claim: Literal["", "left", "right", "above", "below", "front", "behind", "touching"] = ""


@dataclass(frozen=True)
class Neighbours(Relating):
    """Say what is nearest to a structure, touches it, or lies on one side of it.

    Examples:
        "what is next to the gallbladder?" {"tool": "neighbours", "of": ["gallbladder"]}
        "what lies behind the stomach" {"tool": "neighbours", "of": ["stomach"], "side": "behind"}

    Attributes:
        side: the side that is asked for; left out for all round.
    """

    tool = "neighbours"
    side: Way = ""


@dataclass(frozen=True)
class Between(Relating):
    """Say what lies between two structures, or whether one does.

    Examples:
        "what is between the lungs?" {"tool": "between", "ends": ["lungs"]}
        "is the heart between the lungs?" {"tool": "between", "of": ["heart"], "ends": ["lungs"]}

    Attributes:
        of: the one that is asked about; left out for whatever lies there.
        ends: the two.
    """

    tool = "between"
    ends: tuple[str, ...] = ()

    @property
    def structures(self) -> tuple[str, ...]:
        """The one asked about, then the two."""
        return tuple(id for id in (*self.of, *self.ends) if id in STRUCTURES)


@dataclass(frozen=True)
class Presence(Described):
    """Say whether structures are in the scan, and whether wholly. For anything else that may be in it: ``probe``.

    Examples:
        "is there a gallbladder?" {"tool": "presence", "of": ["gallbladder"]}
        "has the left kidney been removed" {"tool": "presence", "of": ["left_kidney"], "claim": "absent"}

    Attributes:
        claim: ``absent`` where it is asked whether they are missing.
    """

    tool = "presence"
    claim: Literal["", "absent"] = ""


@dataclass(frozen=True)
class Probe(About):
    """Look at voxels where no structure is named: spots of a kind of matter, with volume, HU, size and place each.

    For stones, calcium, metal, masses, cysts, nodules, fluid, free gas, and for "what is this". What was seen is told,
    never a disease.

    Examples:
        "any fluid around the right lung?"
            {"tool": "probe", "what": "fluid", "where": "around", "of": ["right_lung"]}
        "is there a mass in the liver" {"tool": "probe", "where": "inside", "of": ["liver"]}
        "what is this?" {"tool": "probe", "of": ["crosshair"], "where": "at"}
        "any metal?" {"tool": "probe", "what": "metal"}

    Attributes:
        what: the kind of matter; ``spots`` is whatever is darker or brighter than its surroundings (masses, lesions,
            cysts, nodules); ``dark`` and ``bright`` are one of these.
        where: ``inside`` of a structure, ``around`` it (next to it, outside), ``between`` two, ``at`` the crosshair or
            in the clicked mask, or ``anywhere``.
        of: the structures or the place that ``where`` speaks of.
        region: the part of the body, where one is named and no structure ("free air in the abdomen").
    """

    tool = "probe"
    what: Literal["spots", "bright", "dark", "calcium", "metal", "fluid", "fat", "gas", "soft"] = "spots"
    where: Literal["anywhere", "inside", "around", "between", "at"] = "anywhere"
    region: Region = ""


@dataclass(frozen=True)
class Finding(About):
    """Judge one sign by its published rule.

    Examples:
        "is the liver fatty?" {"tool": "finding", "id": "steatosis"}
        "stones in the left kidney?" {"tool": "finding", "id": "renal_stones", "of": ["left_kidney"]}

    Attributes:
        id: the sign. ``steatosis``: fatty liver; ``splenomegaly``, ``hepatomegaly``, ``cardiomegaly``: spleen, liver,
            heart too large; ``aortic_aneurysm``: also "is the aorta too wide"; ``bone_density``: also osteoporosis.
        of: of a pair, the side that is asked about; else left out.
    """

    tool = "finding"
    id: FindingId = "steatosis"


@dataclass(frozen=True)
class Scan(Call):
    """Tell something of the volume itself.

    Examples:
        "how thick are the slices" {"tool": "scan", "what": "spacing"}
        "was contrast given?" {"tool": "scan", "what": "contrast"}

    Attributes:
        what: ``spacing``: voxel size, slice thickness, resolution; ``size``: voxels a side and mm; ``contrast``:
            whether and in which phase; ``orientation``: axes of the file; ``coverage``: which part of the body;
            ``hu_range``: least and greatest HU; ``slices``: how many.
    """

    tool = "scan"
    what: Literal["spacing", "size", "contrast", "orientation", "coverage", "hu_range", "slices"] = "size"
