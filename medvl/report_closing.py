"""The end of a report: impression, what was not measured, sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .answering import contrast
from .answering.contract import Fact, Sentence
from .answering.findings import FINDINGS, Outcome
from .answering.findings.base import CONTRAST_GIVEN
from .answering.scene import Scene
from .answering.sentences import say
from .answering.vocabulary import EVERYTHING
from .answering.words import listing, name, sentence

NOT_LOOKED_FOR = (
    "Not looked for: tumours, nodules, cysts, lymph nodes, fractures, bowel, free fluid or air, vessels other than "
    "those named, and everything else that is not named above."
)


def impression(scene: Scene, outcomes: Mapping[str, Outcome]) -> tuple[Sentence, ...]:
    """Rules that are met first, then what may be, then what was applied and is not met."""
    told = []
    order = sorted(outcomes.items(), key=lambda pair: pair[1].verdict != "met")  # what is met before what may be
    for id, outcome in order:
        if outcome.verdict in ("met", "borderline") and outcome.short:
            words = outcome.short
            if outcome.told:
                words = f"{words}: {outcome.told}"
            told.append(say(scene, words, *outcome.facts, Fact("rule", None, reference=FINDINGS[id].reference)))
    judged = [FINDINGS[id].name.lower() for id, o in outcomes.items() if o.verdict == "not met"]
    if judged:
        told.append(
            say(
                None,
                f"no {'other ' if told else ''}rule that could be applied to this scan is met; applied were "
                f"{listing(judged)}",
                source="measured",
            )
        )
    if not outcomes or not (told or judged):
        told.append(say(None, "no published rule could be applied to this scan", source="measured"))
    told.append(Sentence("What these values mean for a person is for a radiologist to say.", "program"))
    return tuple(told)


def limits(
    scene: Scene, outcomes: Mapping[str, Outcome], looked_for: Sequence[str], groups: Sequence[Sequence[str]]
) -> tuple[Sentence, ...]:
    """What was not found, not measured and not judged, and why.

    Args:
        scene: the scan.
        outcomes: of each finding.
        looked_for: structures that were looked for.
        groups: structures of each section of the findings; a section of which none was found is left out there, and
            its structures are named here.
    """
    told = []
    empty = [group for group in groups if not any(scene.mask(id) is not None for id in group)]
    nowhere = [id for group in empty for id in group if id in looked_for]
    if nowhere:
        told.append(say(None, f"looked for and not found in this scan: {listing([name(id) for id in nowhere])}"))
    open_ = {id: o for id, o in outcomes.items() if o.verdict in ("measured", "not assessable") and o.limits}
    plain = [id for id, o in open_.items() if any(CONTRAST_GIVEN in limit for limit in o.limits)]
    if len(plain) > 1:
        rules = tuple(Fact("rule", None, reference=FINDINGS[id].reference) for id in plain)
        names = listing([FINDINGS[id].name.lower() for id in plain])
        told.append(
            say(
                None,
                f"not judged, since {CONTRAST_GIVEN.replace('this rule holds', 'these rules hold')}: {names}",
                *rules,
            )
        )
    for id, outcome in open_.items():
        if len(plain) == 1 or id not in plain:
            told.append(
                say(
                    scene,
                    f"{FINDINGS[id].name}: {'; '.join(outcome.limits)}",
                    *outcome.facts,
                    Fact("rule", None, reference=FINDINGS[id].reference),
                    structures=FINDINGS[id].needs,
                )
            )
    not_known = [id for id in EVERYTHING if id not in looked_for]
    if not_known:
        told.append(
            say(
                None,
                f"not known to the model and not looked for: {listing([name(id) for id in not_known])}",
                source="scan",
            )
        )
    told.append(Sentence(NOT_LOOKED_FOR, "program"))
    return tuple(told)


def sources(outcomes: Mapping[str, Outcome]) -> tuple[Sentence, ...]:
    """The publication behind each finding."""
    told = []
    for id in outcomes:
        rule = FINDINGS[id]
        if rule.reference:
            told.append(
                Sentence(
                    f"{rule.name}: {sentence(rule.reference)}.",
                    "knowledge",
                    (),
                    (Fact("rule", None, reference=rule.reference),),
                )
            )
    told.append(
        Sentence(f"Contrast phase: {contrast.RULE}", "knowledge", (), (Fact("rule", None, reference=contrast.RULE),))
    )
    return tuple(told)
