"""Which looks answer a ``probe`` call, and what of them is told where it names a structure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..ct.masks import Mask
from ..language.calls import Probe
from ..vocabulary.numbers import show
from ..vocabulary.spoken import all_the, be, the
from .contrast import STRUCTURES as CONTRAST
from .looks import LOOKS, Look, Spot, look_in, probe, what_is
from .looks.bright import STONY, stones
from .looks.cavity import LUNGS
from .looks.spots import Amount
from .looks.thresholds import DEFAULT
from .scene import Scene

FOCAL = ("liver", "spleen", "right_kidney", "left_kidney")
LOBES = ("right_upper_lobe", "middle_lobe", "right_lower_lobe", "left_upper_lobe", "left_lower_lobe")
BESIDE_MM = 10.0  # metal that near to a structure is told of it
_BY_REGION: dict[str, dict[str, tuple[str, ...]]] = {
    "fluid": {
        "": ("pleural_fluid", "pericardial_fluid", "ascites"),
        "chest": ("pleural_fluid", "pericardial_fluid"),
        "abdomen": ("ascites",),
    },
    "gas": {"": ("pneumothorax", "free_gas"), "chest": ("pneumothorax",), "abdomen": ("free_gas",),
            "pelvis": ("free_gas",)},
    "metal": dict.fromkeys(("", "head_neck", "chest", "abdomen", "pelvis"), ("metal",)),
    "calcium": {"": ("stones", "aorta_calcium"), "chest": ("aorta_calcium",), "abdomen": ("stones", "aorta_calcium"),
                "pelvis": ("stones",)},
    "fat": {"": ("composition",), "abdomen": ("composition",)},
    "soft": {"": ("opacity",), "chest": ("opacity", "lung_spots")},
    "spots": {"": ("lung_spots", *(f"focal_{id}" for id in FOCAL)), "chest": ("lung_spots",),
              "abdomen": tuple(f"focal_{id}" for id in FOCAL)},
    "dark": {"": tuple(f"focal_{id}" for id in FOCAL), "chest": ("emphysema", "pneumothorax"),
             "abdomen": tuple(f"focal_{id}" for id in FOCAL)},
    "bright": {"": ("metal", "stones", "aorta_calcium"), "chest": ("metal", "aorta_calcium", "lung_spots"),
               "abdomen": ("metal", "stones", "aorta_calcium"), "pelvis": ("metal", "stones")},
}  # fmt: skip
"""Looks by matter and region of the body; "" where none was named."""

_UNSEEN = {
    "fluid": "fluid there cannot be told from what bowel holds",
    "soft": "soft tissue outside the structures that this program knows is not told apart",
}


@dataclass(frozen=True)
class Task:
    """One look to run.

    Attributes:
        id: of ``LOOKS``, or ``"probe"`` or ``"what_is"``.
        structures: to be looked for before.
        run: the look.
    """

    id: str
    structures: tuple[str, ...]
    run: Callable[[Scene], Look]


def tasks(call: Probe, at: tuple[int, int, int] | None = None, clicked: Mask | None = None) -> list[Task]:
    """The looks that answer a call.

    Args:
        call: its references were resolved: what is left of them is "crosshair" and "clicked".
        at: the voxel of the crosshair.
        clicked: the mask that was clicked.
    """
    if call.where == "at":
        place = {"clicked": clicked} if clicked is not None else {"at": at}
        if call.what in ("spots", "bright", "dark", "soft"):
            return [Task("what_is", (), lambda scene: what_is(scene, **place))]
        return [Task("probe", (), lambda scene: probe(scene, call.what, **place))]
    of = call.structures
    if not of:
        if call.unknown and call.what != "metal" and not call.region:
            return []  # that it is not known is said, and nothing else is taken
        named = _BY_REGION[call.what].get(call.region, ())
        where = f"in the {call.region}" if call.region else "there"
        return [_named(id) for id in named] or [_none(_UNSEEN.get(call.what, f"nothing is looked for {where}"))]
    if call.where == "between" and len(of) > 1:
        between = (of[0], of[1])
        return [Task("probe", of, partial(_between, between=between, kind=kind)) for kind in _kinds(call)]
    if call.where == "around" and not (call.what == "metal" or _known_around(call)):
        return [Task("probe", (id,), partial(_around, id=id, kind=kind)) for id in of for kind in _kinds(call)]
    return _inside(call, of)


def _known_around(call: Probe) -> bool:
    """Whether there are looks for what lies around what is named."""
    known = {"fluid": (*LUNGS, "heart", "liver", "spleen"), "gas": LUNGS}
    return set(call.structures) <= set(known.get(call.what, ()))


def _inside(call: Probe, of: tuple[str, ...]) -> list[Task]:
    """Looks inside structures, each once, and generic ones where there is none for the structure."""
    found: list[Task] = []
    lungs = [id for id in of if id in (*LUNGS, *LOBES)]
    for id in of:
        in_lung = id in lungs
        if call.what == "metal":
            found.append(_narrowed("metal", of))
        elif call.what == "fluid" and id in LUNGS:
            found.append(_named("pleural_fluid"))
        elif call.what == "fluid" and id == "heart":
            found.append(_named("pericardial_fluid"))
        elif call.what == "fluid" and id in ("liver", "spleen") and call.where == "around":
            found.append(_named("ascites"))
        elif call.what == "gas" and id in LUNGS:
            found.append(_named("pneumothorax"))
        elif call.what in ("fat", "soft") and id.endswith("_vertebra") and id[:2] in ("l2", "l3", "l4"):
            found.append(_named("composition"))
        elif call.what == "calcium" and id in STONY:
            organs = tuple(o for o in of if o in STONY)
            found.append(Task("stones", (*organs, *CONTRAST), partial(stones, organs=organs)))
        elif call.what in ("calcium", "bright") and id == "aorta":
            found.append(_named("aorta_calcium"))
        elif call.what in ("spots", "bright", "dark") and id in FOCAL:
            found.append(Task(f"focal_{id}", LOOKS[f"focal_{id}"].structures, partial(_focal, id=id, kind=call.what)))
        elif call.what == "bright" and id in STONY:
            found.append(Task("stones", (id, *CONTRAST), partial(stones, organs=(id,))))
        elif in_lung and call.what in ("spots", "bright", "soft"):
            found.append(_narrowed("lung_spots", tuple(lungs)) if set(lungs) - set(LUNGS) else _named("lung_spots"))
            found += [_named("opacity")] if call.what == "soft" else []
        elif in_lung and call.what == "dark":
            found.append(_named("emphysema"))
        else:
            found += [Task("probe", (id, *CONTRAST), partial(_in, id=id, kind=kind)) for kind in _kinds(call)]
    once: dict[tuple, Task] = {}
    for number, task in enumerate(found):
        once.setdefault((task.id, number) if task.id == "probe" else (task.id, task.structures), task)
    return list(once.values())


def _kinds(call: Probe) -> tuple[str, ...]:
    """Kinds of the generic look for what is asked."""
    return {"spots": ("dark", "bright"), "soft": ("bright",)}.get(call.what, (call.what,))


def _in(scene: Scene, id: str, kind: str) -> Look:
    if kind == "calcium" and scene.mask(id) is not None and scene.core_hu(id) > DEFAULT.stone_hu / 2:
        return Look(
            "probe", None, "", limits=(f"{the(id)} {be(id)} nearly as bright as calcium, as contrast makes it",)
        )
    return probe(scene, kind, inside=id)


def _between(scene: Scene, between: tuple[str, str], kind: str) -> Look:
    return probe(scene, kind, between=between)


def _around(scene: Scene, id: str, kind: str) -> Look:
    return probe(scene, kind, around=id)


def _named(id: str) -> Task:
    return Task(id, LOOKS[id].structures, partial(look_in, id))


def _none(why: str) -> Task:
    return Task("none", (), lambda scene: Look("none", None, "", limits=(why,), sureness="unclear"))


def _focal(scene: Scene, id: str, kind: str) -> Look:
    if kind == "bright" and id in STONY:
        bright = stones(scene, organs=(id,))
        if bright.seen:
            return bright
    look = look_in(f"focal_{id}", scene)
    return look if kind == "spots" or look.seen is None else _told_anew(look, kind, (id,), lambda s: s.kind == kind)


def _narrowed(id: str, of: tuple[str, ...]) -> Task:
    """A look of which only what lies in or beside some structures is told."""

    def beside(spot: Spot) -> bool:
        near = spot.place.near if spot.place.near_mm <= BESIDE_MM else ""
        return spot.place.structure in of or near in of

    def run(scene: Scene) -> Look:
        look = look_in(id, scene)
        missing = [one for one in of if scene.mask(one) is None]
        if len(missing) == len(of):
            return Look(id, None, "", limits=(f"{all_the(of)} {'were' if len(of) > 1 else 'was'} not found",))
        return look if look.seen is None else _told_anew(look, "", of, beside)

    return Task(id, (*LOOKS[id].structures, *of), run)


def _told_anew(look: Look, kind: str, of: Sequence[str], keep: Callable[[Spot], bool]) -> Look:
    """A look with some of its spots, in words of its own."""
    spots = tuple(spot for spot in look.spots if keep(spot))
    noun = f"{kind} area" if kind else {"metal": "piece as bright as metal"}.get(look.what, "spot")
    amounts = (*look.amounts, Amount("spots_told", len(spots), "", tuple(of)))
    if not spots:
        text = f"no {noun} was seen in {'or beside ' if look.what == 'metal' else ''}{all_the(of, 'or')}"
        return replace(look, seen=False, told=text, spots=(), amounts=amounts)
    first = spots[0]
    many = {"piece as bright as metal": "pieces as bright as metal"}.get(noun, f"{noun}s") if len(spots) > 1 else noun
    were, beside = "were" if len(spots) > 1 else "was", "or beside " if look.what == "metal" else ""
    text = (
        f"{len(spots)} {many} {were} seen in {beside}{all_the(of)}; the first is {show(first.longest_mm, 'mm')} long "
        f"in slice {first.place.slice}, {show(first.mean_hu, 'HU')} on average"
    )
    return replace(look, told=text, spots=spots, amounts=amounts, sureness=first.sureness)
