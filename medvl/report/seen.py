"""What a report tells of looks: under which heading, in which order of weight, and how sure each is on the scan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..conversation.contract import Sentence
from ..conversation.writing import looks as told_looks
from ..tools.executor import OFFERED_OF_MANY, Executor, Seen
from ..tools.fact import Fact
from ..tools.findings import FINDINGS, Outcome
from ..tools.looks import LOOKS, look_in
from ..tools.pieces import Step
from ..vocabulary.spoken import listing, sentence

BY_HEADING: dict[str, tuple[str, ...]] = {
    "Lungs and airways": ("pneumothorax", "opacity", "lung_spots"),
    "Heart": ("pericardial_fluid",),
    "Liver": ("focal_liver",),
    "Gallbladder": ("gallbladder",),
    "Spleen": ("focal_spleen",),
    "Kidneys": ("focal_right_kidney", "focal_left_kidney"),
    "Urinary bladder": ("bladder",),
    "Abdomen": ("ascites", "free_gas"),
    "Whole body": ("metal", "composition"),
}
"""Looks under each heading of the findings, beside those that a finding runs."""

# How much of the impression something takes: a rule of this program for the order alone, no judgement of a person.
_WEIGHTS = {
    "aortic_aneurysm": 70, "pneumothorax": 60, "lung_spots": 55, "focal_liver": 50, "focal_spleen": 45,
    "focal_right_kidney": 44, "focal_left_kidney": 44, "pericardial_fluid": 40, "pleural_effusion": 40, "ascites": 38,
    "splenomegaly": 36, "free_gas": 35, "opacity": 34, "hepatomegaly": 33, "renal_stones": 32, "gallstones": 31,
    "steatosis": 30, "bone_density": 28, "kidney_asymmetry": 26, "emphysema": 25, "metal": 22, "gallbladder": 20,
    "bladder": 18, "cardiomegaly": 16, "liver_spleen_difference": 12, "aortic_calcification": 10,
}  # fmt: skip
_UNSURE = 0.4  # of its weight, where it is unsure on this scan
_SPOTS = 3


def looked(executor: Executor) -> Iterator[Step | dict[str, Seen]]:
    """Run the looks of the report: a step each, and the looks by id at the end."""
    seen: dict[str, Seen] = {}
    for id in (id for ids in BY_HEADING.values() for id in ids):
        label = f"Look: {LOOKS[id].name}"
        yield Step(label)
        if executor.scene.ct.hu_trusted:
            found = look_in(id, executor.scene)
            seen[id] = executor.offer(found, OFFERED_OF_MANY)
        yield Step(label, seconds=0.0, share=1.0, outcome="done")
    yield seen


def told(one: Seen) -> list[Sentence]:
    """What was seen, its first spots, and nothing of thresholds, which stand at the end of the report."""
    if one.look.seen is None:
        return []
    return told_looks.looked(one, _SPOTS)


def weight(id: str, outcome: Outcome | None, seen: Seen | None) -> float:
    """Where something stands in the impression: the heavier the earlier."""
    heavy = float(_WEIGHTS.get(id, 20))
    look = outcome.look if outcome is not None else seen.look if seen is not None else None
    if look is None:
        return heavy if outcome is None or outcome.verdict == "met" else heavy * 0.8
    shares = [a.value for a in look.amounts if a.key in ("hemithorax_percent", "opacity_percent") and a.value]
    heavy += max(shares, default=0.0)
    return heavy * (_UNSURE if look.sureness == "unclear" else 1.0)


def impressions(seen: Mapping[str, Seen]) -> dict[str, Sentence]:
    """The first sentence of each look that saw something worth the impression."""
    return {id: told_looks.brief(one) for id, one in seen.items() if one.look.seen and id != "composition"}


def limits(seen: Mapping[str, Seen]) -> list[Sentence]:
    """How sure each look is on this scan, and which ones the scan does not allow."""
    sentences = []
    barred = [LOOKS[id].name for id, one in seen.items() if one.look.seen is None]
    for id, one in seen.items():
        look = one.look
        if look.seen is not None and look.limits:
            sure = {"clear": "clear", "likely": "likely", "unclear": "unsure"}[look.sureness]
            text = f"{LOOKS[id].name} ({sure} on this scan): {'; '.join(look.limits)}."
            sentences.append(Sentence(text, "measured", (), (Fact("limits", text),)))
    if barred:
        text = f"Not possible on this scan: {listing([name[:1].lower() + name[1:] for name in barred])}."
        sentences.append(Sentence(text, "measured", (), (Fact("limits", text),)))
    return sentences


def sources(seen: Mapping[str, Seen], outcomes: Mapping[str, Outcome]) -> list[Sentence]:
    """The publications behind the looks, each once, and those that no finding cites."""
    cited = {FINDINGS[id].reference for id in outcomes}
    rules = dict.fromkeys(rule.source for one in seen.values() if one.look.seen is not None for rule in one.look.rules)
    return [
        Sentence(f"{sentence(source)}.", "knowledge", (), (Fact("rule", None, reference=source),))
        for source in rules
        if source and source not in cited
    ]
