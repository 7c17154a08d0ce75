"""Messages that hold a structure against a value that they name, which is read off their words.

"Is the spleen more than a quarter of a liter?", "what part of the liver is below 40 HU?".
"""

from __future__ import annotations

from ...language import cues
from ...language.calls import Call, Finding, Measure
from ...language.clauses import split
from ...language.foreign import english
from ...language.mentions import find
from ...language.normalise import words
from ...language.parse import SPELLER
from ...language.quantities import hu_range, measures
from ...vocabulary.names import GROUPS
from ...vocabulary.structure import word_set
from ..references import structures_of
from ..state import State

_MORE = cues.HU_ABOVE | word_set("larger bigger wider longer thicker exceed exceeds exceeding beyond")
_LESS = cues.HU_BELOW | word_set("smaller narrower shorter thinner")
_AMOUNT = word_set("much many fraction percent percentage share volume ml part proportion portion amount")
_CHANGING = cues.HU_KEPT | cues.HU_TAKEN | set(cues.EDIT_VERBS) | word_set("segment mask outline make")
_WHAT = {"mL": "volume", "HU": "mean_hu", "mm": "diameter"}
_POINTING = word_set("it its that this they them")
_EMPHYSEMA_HU = -900.0  # of a lung, what lies below is asked for as a published sign


def against(message: str, state: State) -> tuple[Call, ...] | None:
    """Calls of a message that holds a structure against a value; None where it does not."""
    said = SPELLER.mend(words(english(message)))
    if not (_MORE | _LESS | {"between"}) & set(said) or _CHANGING & set(said) or len(split(said)) != 1 or len(said) < 3:
        return None
    mentions = find(said)
    if any(mention.kind == "unknown" for mention in mentions):
        return None
    last = state.last.calls[-1] if state.last.calls else None
    ids = tuple(dict.fromkeys(id for mention in mentions for id in mention.ids))
    if not ids and last is not None and _POINTING & set(said):
        ids = last.structures or structures_of(state.last)
    values = measures(said)
    low, high = hu_range(said)
    ranged = isinstance(last, Measure) and (last.low_hu is not None or last.high_hu is not None)
    if ranged and not ids and (low, high) != (None, None) and len(said) <= 6:
        return (Measure(last.of, low_hu=low, high_hu=high),)  # "and under 0?"
    if not ids or not values:
        return None
    in_hu = all(unit == "HU" for _, unit in values)
    if in_hu and _AMOUNT & set(said) and (low, high) != (None, None):
        lungs = set(ids) <= set(GROUPS["lungs"]) and high is not None and high <= _EMPHYSEMA_HU
        return (Finding(ids, "emphysema"),) if lungs else (Measure(ids, low_hu=low, high_hu=high),)
    asks = cues.QUESTION_START.fullmatch(said[0]) or (
        said[0] in ("and", "so", "but") and said[1:2] in (["is"], ["are"])
    )
    if not asks or len(values) != 1:
        return None
    value, unit = values[0]
    more = next((word in _MORE for word in said if word in _MORE | _LESS), None)
    if more is None:
        return None
    return (Measure(ids, what=_WHAT[unit], than=value, than_is="more" if more else "less"),)
