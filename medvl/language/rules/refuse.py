"""What is not answered: advice, diagnosis, who the patient is, other subjects, orders to break rules."""

from __future__ import annotations

from .. import cues, cues_talk
from ..calls import Call, Refuse
from ..clauses import Clause


def of_message(text: str) -> Call | None:
    """A refusal that holds for a whole message, whatever else it says: an injected order or an emergency.

    Args:
        text: the words of the message, normalised.
    """
    if cues.INJECTION.search(text) and not cues.cue("masks?|contours?").search(text):
        return Refuse(reason="injection")
    if cues.EMERGENCY.search(text):
        return Refuse(reason="emergency")
    if cues.PROGNOSIS.search(text):
        return Refuse(reason="prognosis")
    if cues.cue("a diagnosis|diagnose (me|him|her|this|the)").search(text):
        return Refuse(reason="diagnosis")
    return None


def of_clause(clause: Clause) -> list[Call] | None:
    """A refusal of one clause: medication, treatment, prognosis, the patient's identity, another subject."""
    if clause.says(cues.TREATMENT) and clause.says(cues.cue("radiation dose should")):
        return [Refuse(reason="treatment")]
    if clause.says(cues.CREATIVE):
        return [Refuse(reason="off_topic")]
    for topic, pattern in (
        ("medication", cues.MEDICATION),
        ("treatment", cues.TREATMENT),
        ("patient", cues.PATIENT),
        ("acquisition", cues.ACQUISITION),
    ):
        if clause.says(pattern) and not (
            topic == "treatment" and clause.has(cues.cue("what (can|should) (i|we) do with"))
        ):
            return [Refuse(reason=topic)]
    if clause.says(cues.OFF_TOPIC) and not clause.known and not _of_results(clause):
        return [Refuse(reason="off_topic")]
    return None


def _of_results(clause: Clause) -> bool:
    """Whether what is to be sent or written is what this program made."""
    ours = cues.cue("reports?|masks?|segmentations?|measurements?|results?|numbers?|findings?")
    return clause.says(cues_talk.TO_FILE) and clause.says(ours)
