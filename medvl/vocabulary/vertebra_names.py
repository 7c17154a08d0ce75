"""Single vertebrae by their level: T1 to T12 and L1 to L5, their names, and ranges of them ("L1 to L4")."""

from __future__ import annotations

from .structure import Region, Structure, names, word_set

_ORDINAL = names("first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, eleventh, twelfth")
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
# Of these the number alone may mean something else, for instance parts of the duodenum.
_NEEDS_NOUN = frozenset({"d1", "d2", "d3", "d4"})


def _vertebra(letter: str, number: int, parts: tuple[str, ...], codes: tuple[str, ...], region: Region) -> Structure:
    ordinals = (_ORDINAL[number - 1], f"{number} {_ENDINGS.get(number, 'th')}", f"{number}{_ENDINGS.get(number, 'th')}")
    said: list[str] = []
    for code in (f"{c}{number}" for c in codes):
        said += [] if code in _NEEDS_NOUN else [code]
        said += [f"{code} {noun}" for noun in ("vertebra", "vertebrae", "vertebral body")]
        said += [f"{noun} {code}" for noun in ("vertebra", "vertebral body", "vertebra level")]
        said += [f"vertebral body of {code}", f"body of {code}"]
    for part in parts:
        said += [f"{part} {noun} {number}" for noun in ("vertebra", "vertebra number", "vertebra no", "vertebral body")]
        said += [f"{o} {part} {noun}" for o in ordinals for noun in ("vertebra", "vertebral body", "body")]
        said += [f"{part} {number}", f"{part} spine {codes[0]}{number}", f"{ordinals[0]} {part}"]
    level = f"{letter}{number}"
    group = "lumbar_vertebrae" if letter == "L" else "thoracic_vertebrae"
    return Structure(
        f"{level.lower()}_vertebra", f"{level} vertebra", tuple(said), (), "", group, region, "bone", level=level
    )


THORACIC = tuple(_vertebra("T", n, ("thoracic", "dorsal"), ("t", "th", "d"), "chest") for n in range(1, 13))
LUMBAR = tuple(_vertebra("L", n, ("lumbar",), ("l",), "abdomen") for n in range(1, 6))
VERTEBRAE: tuple[Structure, ...] = (*THORACIC, *LUMBAR)
"""From above downward."""

LEVEL_OF: dict[str, str] = {structure.id: structure.level for structure in VERTEBRAE}
"""Level of each id."""

VERTEBRA_GROUPS: dict[str, tuple[str, ...]] = {
    "lumbar_vertebrae": tuple(structure.id for structure in LUMBAR),
    "thoracic_vertebrae": tuple(structure.id for structure in THORACIC),
    "single_vertebrae": tuple(structure.id for structure in VERTEBRAE),
}
"""Parts of each group."""

VERTEBRA_GROUP_NAMES: dict[str, tuple[str, ...]] = {
    "lumbar_vertebrae": names(
        "lumbar vertebrae, lumbar vertebra, lumbar vertebral bodies, lumbar spine, lumbar segment of the spine"
    ),
    "thoracic_vertebrae": names(
        "thoracic vertebrae, thoracic vertebra, thoracic vertebral bodies, thoracic spine, dorsal spine, t spine, "
        "dorsal vertebrae, dorsal vertebra"
    ),
    "single_vertebrae": names(
        "single vertebrae, single vertebra, individual vertebrae, individual vertebra, each vertebra, every vertebra, "
        "separate vertebrae, vertebrae one by one, vertebrae separately, vertebrae individually"
    ),
}

NOT_LEVELS = word_set(
    """
    weighted weighting image images sequence sequences mri map mapping relaxation flair signal stage staging tumor
    cancer
    """
)
"""After "T1" or "T2" these speak of something else."""

PARTS_OF_VERTEBRAE = word_set(
    """
    disc discs disk disks interspace foramen foramina pedicle pedicles endplate endplates lamina laminae facet
    facets
    """
)
"""What lies between vertebrae or is a part of one."""

_RANGE = frozenset({"through", "thru", "until", "till", "to"})
_TWO_ENDS = word_set("distance far close near compare compared comparison relative next versus ratio")


def between(words: list[str], first: str, last: str, joint: list[str]) -> tuple[str, ...]:
    """All vertebrae from one to another, where the words between their names mean a range; else ``()``.

    Args:
        words: of the whole clause.
        first: id.
        last: id.
        joint: the words between the two names.
    """
    if first not in LEVEL_OF or last not in LEVEL_OF or len(joint) != 1 or joint[0] not in _RANGE:
        return ()
    if joint[0] == "to" and _TWO_ENDS & set(words):
        return ()
    row = list(LEVEL_OF)
    a, b = sorted((row.index(first), row.index(last)))
    return tuple(row[a : b + 1])
