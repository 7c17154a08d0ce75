"""Sentences about the scan as a whole, and about findings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ...language.calls import ListStructures
from ...language.rules.reply import SIZE_RULES
from ...tools import contrast, facts
from ...tools.fact import Fact, shown
from ...tools.findings import FINDINGS, Finding, Outcome
from ...tools.scene import Scene
from ...vocabulary.names import EVERYTHING, STRUCTURES, in_region
from ...vocabulary.spoken import SIDES, all_the, listing, name, the
from ..contract import Sentence
from .sentences import not_found, say

AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
_DIRECTION = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "head", "I": "feet"}


def scan(scene: Scene, attribute: str) -> list[Sentence]:
    """What is known of the scan: spacing, size, contrast, orientation, coverage, HU range, slices."""
    return _SCAN[attribute](scene) if attribute in _SCAN else [*_size(scene), *_spacing(scene)]


def _spacing(scene: Scene) -> list[Sentence]:
    values = facts.spacing(scene.ct)
    sizes = " x ".join(shown(fact).removesuffix(" mm") for fact in values)
    one = facts.voxel_volume(scene.ct)
    text = f"a voxel measures {sizes} mm (left-right, back-front, foot-head), a volume of {shown(one)}"
    return [say(scene, text, *values, one, source="scan")]


def _size(scene: Scene) -> list[Sentence]:
    values = facts.size(scene.ct)
    voxels = " x ".join(shown(fact) for fact in values[:3])
    sizes = " x ".join(shown(fact).removesuffix(" mm") for fact in values[3:])
    text = f"the scan has {voxels} voxels (left-right, back-front, foot-head) and covers {sizes} mm"
    return [say(scene, text, *values, source="scan")]


def _orientation(scene: Scene) -> list[Sentence]:
    codes, tilt = facts.orientation(scene.ct)
    ways = listing([_DIRECTION[code] for code in codes.value])
    text = (
        f"the file's axes run toward {ways} ({codes.value}); the viewer shows the patient's right on the left of the "
        "picture"
    )
    told = [say(scene, text, codes, source="scan")]
    if tilt.value >= 1:
        told.append(
            say(
                scene,
                f"its slices are tilted by up to {shown(tilt)} degrees against the body's axes",
                tilt,
                source="scan",
            )
        )
    return told


def _hu_range(scene: Scene) -> list[Sentence]:
    low, high = facts.hu_range(scene.ct)
    return [say(scene, f"the values go from {shown(low)} to {shown(high)}", low, high, source="scan")]


def _slices(scene: Scene) -> list[Sentence]:
    number, apart = facts.slice_count(scene.ct)
    return [
        say(scene, f"there are {shown(number)} axial slices, one every {shown(apart)}", number, apart, source="scan")
    ]


def contrast_told(scene: Scene) -> list[Sentence]:
    """Contrast phase, the values it was read from, and the rule."""
    fact = contrast.phase(scene)
    levels = contrast.levels(scene)
    header = _contrast_of_header(scene, fact)
    if fact.value is None:
        return [say(scene, f"the contrast phase could not be told: {fact.note}", fact), *header]
    words = {
        "none": "this looks like a scan without contrast",
        "arterial": "this looks like an arterial phase: contrast was given",
        "portal venous": "this looks like a portal venous phase: contrast was given",
        "other": "contrast was given, but the phase is not clear",
    }[fact.value]
    values = listing([f"{name(level.structures[0])} {shown(level)}" for level in levels])
    return [
        say(scene, f"{words} (medians: {values})", fact, *levels),
        say(None, "this is read from these values by a rule of this program, not from the file", fact),
        *header,
    ]


def _contrast_of_header(scene: Scene, measured: Fact) -> list[Sentence]:
    """What the file's header says of contrast medium, beside what was measured."""
    agent = scene.ct.info.contrast
    if not agent:
        return []
    told = Fact("contrast_by_header", agent, source="scan")
    named = "" if agent == "given" else f" ({agent})"
    but = ", which these values do not show" if measured.value == "none" else ""
    return [say(None, f"the file's header says that contrast medium was given{named}{but}", told, source="scan")]


def coverage(scene: Scene) -> list[Sentence]:
    """Regions of the body in the scan."""
    regions = facts.coverage(scene)
    words = {value: [fact.note for fact in regions if fact.value == value] for value in ("yes", "partly", "no")}
    parts = []
    if words["yes"]:
        parts.append(f"the scan shows the {listing(words['yes'])}")
    if words["partly"]:
        parts.append(f"{'and ' if parts else 'the scan shows '}a part of the {listing(words['partly'])}")
    if not parts:
        return [
            say(
                scene,
                "none of the structures I know was found, so I cannot tell which region this is",
                *regions,
                not_found(()),
            )
        ]
    there = tuple(dict.fromkeys(id for fact in regions for id in fact.structures))
    length = next(f for f in facts.size(scene.ct) if f.key == "size_z_mm")
    told = [
        say(scene, " ".join(parts) + f", over {shown(length)} from bottom to top", *regions, length, structures=there)
    ]
    if words["no"]:
        told.append(
            say(
                scene,
                f"of the {listing(words['no'], 'or')}, no structure that I know was found",
                *regions,
                structures=there,
            )
        )
    return told


_SCAN = {
    "spacing": _spacing,
    "size": _size,
    "orientation": _orientation,
    "hu_range": _hu_range,
    "slices": _slices,
    "contrast": contrast_told,
    "coverage": coverage,
}


# ---- findings


def finding(scene: Scene, id: str) -> list[Sentence]:
    """A finding: values, what the published rule says, what limits it, and the source."""
    rule = FINDINGS[id]
    outcome = rule.of(scene)
    told = outcome_told(scene, outcome, rule)
    if rule.reference:
        lead = "" if rule.reference.startswith("rule of") else "source: "
        told.append(say(None, f"{lead}{rule.reference}", *_with(outcome.facts, rule.reference), source="knowledge"))
    return told


def published(structures: Sequence[str]) -> list[Sentence]:
    """What is published on the normal size of structures, without a measurement."""
    told = []
    for id in structures:
        reference = FINDINGS[SIZE_RULES[id]].reference if id in SIZE_RULES else ""
        if reference:
            told.append(
                say(
                    None,
                    f"published for {the(id)}: {reference}",
                    Fact("rule", None, reference=reference),
                    source="knowledge",
                )
            )
    return told


def outcome_told(scene: Scene, outcome: Outcome, rule: Finding) -> list[Sentence]:
    """Values, meaning and limits, without the source."""
    about = rule.needs
    cited = _with(outcome.facts, rule.reference)  # thresholds in the words are those of the reference
    told = []
    if outcome.told:
        told.append(say(scene, outcome.told, *cited))
    if outcome.meaning:
        told.append(say(scene, outcome.meaning, *cited, structures=about))
    if outcome.limits:
        limits = "; ".join(outcome.limits)
        told.append(say(scene, limits, *cited, Fact("limits", limits), structures=about))
    return told


def _with(cited: tuple[Fact, ...], reference: str) -> tuple[Fact, ...]:
    if any(reference == fact.reference for fact in cited):
        return cited
    return (*cited, Fact("rule", None, reference=reference))


# ---- lists


def with_values(told: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """Sentences that tell a value of the scan, without those on limits, rules and sureness alone."""
    aside = {"limits", "sureness", "rule", "further_spots"}
    return tuple(
        said for said in told
        if said.source in ("measured", "scan") and any(f.key not in aside and f.value is not None for f in said.facts)
    )  # fmt: skip


def recap(turns: Sequence[Sequence[Sentence]], most: int | None) -> list[Sentence]:
    """What was told of the scan so far, once more; of each answer the first sentence before further ones.

    Args:
        turns: sentences of each answer.
        most: how many at most; None for two of each answer.
    """
    lists = [list(dict.fromkeys(turn)) for turn in turns]
    wanted = [(nth, n) for n, turn in enumerate(lists) for nth in range(len(turn) if most else min(2, len(turn)))]
    chosen = sorted(sorted(wanted)[:most], key=lambda pair: (pair[1], pair[0]))
    told = list(dict.fromkeys(lists[n][nth] for nth, n in chosen))
    if not told:
        return [say(None, "no value of this scan was told in this conversation so far", source="program")]
    return [*told, Sentence("Research use only, not for diagnosis.", "program")]


def listed(scene: Scene, call: ListStructures, known: Collection[str]) -> list[Sentence]:
    """The structures that a call asks for.

    Args:
        scene: the scan; what is to be listed was looked for.
        call: which.
        known: ids that the finder knows.
    """
    if call.which == "made":
        return [made_list(scene)]
    if call.which == "in_slice":
        every = [id for id in EVERYTHING if id in known]
        return [slice_list(scene, call.plane or "axial", call.number or 1, every)]
    if call.kind:
        return [kind_list(call.kind, [id for id in STRUCTURES if id in known])]
    every = in_region(call.region, [id for id in EVERYTHING if id in known])
    return cut_list(scene, every) if call.which == "cut" else known_list(scene, every)


def known_list(scene: Scene, known: Iterable[str]) -> list[Sentence]:
    """What was found in this scan, what was not, after looking for everything known."""
    there = [id for id in known if scene.mask(id) is not None]
    gone = [id for id in known if scene.mask(id) is None]
    told = []
    if there:
        told.append(say(scene, f"in this scan I found {listing([the(id) for id in there])}", structures=there))
    if gone:
        told.append(
            say(
                scene,
                f"I looked for {listing([the(id) for id in gone], 'and')} too, and did not find them",
                not_found(gone),
            )
        )
    return told


def slice_list(scene: Scene, plane: str, number: int, known: Iterable[str]) -> Sentence:
    """Which structures a slice shows.

    Args:
        scene: the scan, in which all of ``known`` was looked for.
        plane: ``axial``, ``coronal`` or ``sagittal``.
        number: of the slice, counted from 1.
        known: ids.
    """
    axis = AXES[plane]
    count = Fact("slices_of_plane", int(scene.ct.shape[axis]), source="scan")
    asked = Fact("slice", number, source="scan")
    if not 1 <= asked.value <= count.value:
        text = f"there is no {plane} slice {shown(asked)}: they are counted from 1 to {shown(count)}"
        return say(None, text, asked, count, Fact("first", 1), source="program")
    there = [id for id in known if (mask := scene.mask(id)) is not None and mask.slice(axis, asked.value - 1).any()]
    where = f"{plane} slice {shown(asked)} of {shown(count)}"
    if not there:
        return say(scene, f"none of the structures I know was found in {where}", asked, count, not_found(()))
    return say(scene, f"{where} shows {all_the(there)}, as far as I know them", asked, count, structures=there)


def made_list(scene: Scene) -> Sentence:
    """Which structures have a mask so far, each with its volume; nothing is looked for."""
    volumes = [facts.volume(scene, id)[0] for id in scene.present]
    others = "masks made by clicks, and the colour of each, stand in the list on the page"
    if not volumes:
        return say(None, f"no structure has been segmented by name so far; {others}", source="program")
    number = Fact("masks", len(volumes), structures=scene.present)
    parts = [f"{the(v.structures[0])} ({'at least ' if v.note else ''}{shown(v)})" for v in volumes]
    many = "structure has a mask" if len(volumes) == 1 else "structures have masks"
    return say(scene, f"so far {shown(number)} {many}: {listing(parts)}; {others}", number, *volumes)


def kind_list(kind: str, known: Iterable[str]) -> Sentence:
    """Which structures of a kind can be asked for; nothing is looked for."""
    of_kind = [id for id in known if STRUCTURES[id].kind == kind]
    ids = [id for id in of_kind if not STRUCTURES[id].level]
    many = f"{kind}s"
    if not ids:
        return say(None, f"I know no {many} by name", source="program")
    levels = [STRUCTURES[id].level for id in of_kind if STRUCTURES[id].level]
    single = [f"single vertebrae from {levels[0]} to {levels[-1]}"] if levels else []
    those = listing([*(the(id) for id in ids), *single])
    text = f"of {many} I know {those}; others can be marked by clicks or a box in the viewer"
    return say(None, text, source="program")


def cut_list(scene: Scene, known: Iterable[str]) -> list[Sentence]:
    """Which structures reach the border of the scan, where, and which lie wholly inside it."""
    there = [id for id in known if scene.mask(id) is not None]
    if not there:
        return known_list(scene, known)
    cut = [id for id in there if scene.cut(id)]
    whole = [id for id in there if not scene.cut(id)]
    told = []
    for sides in dict.fromkeys(scene.cut(id) for id in cut):
        ids = [id for id in cut if scene.cut(id) == sides]
        ends = "reaches" if len(ids) == 1 and ids[0] != "other_bone" else "reach"
        border = (
            f"the {listing([SIDES[side] for side in sides])} {'borders' if len(sides) > 1 else 'border'} of the scan"
        )
        told.append(say(scene, f"{all_the(ids)} {ends} {border} and may go on outside it", structures=ids))
    if whole:
        lies = "lies" if len(whole) == 1 and whole[0] != "other_bone" else "lie"
        told.append(say(scene, f"{all_the(whole)} {lies} wholly inside it", structures=whole))
    return told
