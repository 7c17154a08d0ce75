"""Messages that need what was asked before: "and the other one?", "segment it", "compare with the right"."""

from __future__ import annotations

from ..answering.contract import Intent, Request
from ..answering.vocabulary import STRUCTURES, counterpart
from .request_draw import Draw, History, Pair, pair_of


def follow_up(d: Draw) -> Pair | None:
    """A message that needs what was asked before; None where nothing sensible was drawn."""
    ids, attribute = d.ids(), d.one("volume", "mean_hu", "diameter", "position")
    before = d.rng.choice([Request(Intent.SEGMENT, ids), Request(Intent.MEASURE, ids, attribute=attribute)])
    if d.rng.random() < 0.15:
        before = d.rng.choice([Request(Intent.PRESENCE, ids), Request(Intent.FINDING, ("liver",), finding="steatosis")])
        ids = before.structures
    history: History = ((before,),)
    if d.rng.random() < 0.3:
        history = ((Request(Intent.SEGMENT, d.ids()),), *history)
    its, it = ("their", "them") if len(ids) > 1 else ("its", "it")
    roll = d.rng.random()
    if roll < 0.25 and before.intent in (Intent.SEGMENT, Intent.MEASURE, Intent.PRESENCE):
        new = d.ids()
        text = d.one("and {s}?", "what about {s}", "{s} too", "same for {s}", "also {s}", "how about {s}?", "now {s}",
                     "then {s}", "and for {s}")  # fmt: skip
        return (
            pair_of(d.fill(text, new), Request(before.intent, new, before.attribute), history=history)
            if new != ids
            else None
        )
    other = counterpart(ids[0]) if len(ids) == 1 else None
    if other and roll < 0.75:
        side = STRUCTURES[other].side
        if d.rng.random() < 0.5 or before.intent not in (Intent.SEGMENT, Intent.MEASURE):
            claim = d.one("", "larger", "brighter")
            text = d.one("compare with the other side", f"compare it to the {side} one", "versus the other one?")
            if claim:
                text = {"larger": "is it bigger than the ", "brighter": "is it brighter than the "}[claim]
                text += d.one("other one", f"{side} one", f"{side}")
            about = "mean_hu" if claim == "brighter" or (not claim and before.attribute == "mean_hu") else "volume"
            return pair_of(text, Request(Intent.COMPARE, (*ids, other), about, claim=claim), history=history)
        text = d.one("and the other one?", "the other side", f"and the {side}?", f"no, the {side} one",
                     f"i meant {side}", "now the opposite side", f"{side} as well", "what about the contralateral one",
                     f"and {side}")  # fmt: skip
        return pair_of(text, Request(before.intent, (other,), before.attribute), history=history)
    choices: list[tuple[str, Request]] = [
        (d.one(f"segment {it}", f"show {it}", f"outline {it} please", f"show me {it}", f"draw {it}"),
         Request(Intent.SEGMENT, ids)),
        (d.one(f"and {its} volume", f"{its} size?", "how many ml", f"volume of {it}", "and the volume?"),
         Request(Intent.MEASURE, ids, "volume")),
        (d.one(f"{its} density?", f"mean hu of {it}", "and the hu", f"how bright is {it}", "hounsfield value?"),
         Request(Intent.MEASURE, ids, "mean_hu")),
        (d.one("which slices", f"on which slices is {it}", "slice range?"), Request(Intent.MEASURE, ids, "slices")),
        (d.one(f"where is {it}", f"{its} position", f"where does {it} lie"), Request(Intent.MEASURE, ids, "position")),
        (d.one(f"delete {it}", f"remove {it} again", f"hide {it}", "undo", "take that away"),
         Request(Intent.REMOVE, ids)),
        (d.one(f"what is next to {it}", f"what surrounds {it}"), Request(Intent.RELATION, ids, relation="nearest")),
    ]  # fmt: skip
    text, request = d.rng.choice(choices)
    if len(ids) == 1 and roll > 0.85:
        new = d.ids(False)
        if new != ids:
            text = d.one("how far is it from {s}", "distance to {s}", "does it touch {s}", "is it bigger than {s}")
            pair = ids + new
            request = (
                Request(Intent.COMPARE, pair, "volume", claim="larger") if "bigger" in text
                else Request(Intent.RELATION, pair, relation="touching", claim="touching") if "touch" in text
                else Request(Intent.RELATION, pair, relation="distance")
            )  # fmt: skip
            text = d.fill(text, new)
    return pair_of(text, request, history=history)
