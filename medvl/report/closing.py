"""The end of a report: impression, what was not measured, sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..conversation.contract import Sentence
from ..conversation.writing.sentences import not_found, say
from ..tools import contrast
from ..tools.executor import Seen
from ..tools.fact import Fact
from ..tools.findings import FINDINGS, Outcome
from ..tools.findings.base import CONTRAST_GIVEN
from ..tools.scene import Scene
from ..vocabulary.names import EVERYTHING
from ..vocabulary.spoken import listing, name, sentence
from . import seen as seen_in

NOT_LOOKED_FOR = (
    "Not looked for: lymph nodes, fractures, bowel, vessels other than those named, and everything else that is not "
    "named above. What a spot is was not judged."
)


def impression(
    scene: Scene, outcomes: Mapping[str, Outcome], seen: Mapping[str, Seen] | None = None
) -> tuple[Sentence, ...]:
    """What weighs most first, rules that are met and what was seen alike; then what was applied and is not met."""
    seen = seen or {}
    ranked: list[tuple[float, Sentence]] = []
    ranked += [(seen_in.weight(id, None, seen[id]), told) for id, told in seen_in.impressions(seen).items()]
    for id, outcome in outcomes.items():
        if outcome.verdict in ("met", "borderline") and outcome.short:
            words = outcome.short
            if outcome.told:
                words = f"{words}: {outcome.told}"
            said = say(scene, words, *outcome.facts, Fact("rule", None, reference=FINDINGS[id].reference))
            ranked.append((seen_in.weight(id, outcome, None), said))
    told = [said for _, said in sorted(ranked, key=lambda pair: -pair[0])]
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
    outside: dict[str, list[str]] = {}
    for id in looked_for:
        if (found := scene.found(id)) is not None and found.reason:
            outside.setdefault(found.reason, []).append(id)
    for reason, ids in outside.items():
        told.append(say(None, f"{reason}; not in view: {listing([name(id) for id in ids])}"))
    nowhere = [id for id in nowhere if not any(id in ids for ids in outside.values())]
    if nowhere:
        told.append(
            say(
                None,
                f"looked for and not found in this scan: {listing([name(id) for id in nowhere])}",
                not_found(nowhere),
            )
        )
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
                    Fact("limits", "; ".join(outcome.limits)),
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
