"""Messages about what a look saw or is to see: "hypodense foci? biggest where", "how far is it from the capsule".

A message is cut into its parts. Each names a thing that is seen, or points at what was seen last, and asks something of
it: a look, a value, a distance, a view, a change of its mask. What is asked is told by small sets of words, so that
every request can be made of every thing that is seen. A part that asks for anything else leaves the whole message to
the rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...language import cues, sights
from ...language.calls import (
    IT,
    Call,
    Comparing,
    Edit,
    Finding,
    Lookup,
    Measure,
    Measuring,
    Neighbours,
    Probe,
    Rank,
    Relate,
    Report,
    Show,
    changed,
)
from ...language.foreign import english
from ...language.formulas import formula
from ...language.mentions import Mention, find
from ...language.normalise import STOP, words
from ...language.parse import SPELLER, parse
from ...language.quantities import margins, measures
from ...vocabulary.names import GROUPS, counterpart
from ...vocabulary.structure import word_set
from ..state import State

_LUNGS = GROUPS["lungs"]
SIGNS: dict[str, Probe] = {
    "pleural_effusion": Probe(_LUNGS, what="fluid", where="around"),
    "gallstones": Probe(("gallbladder",), what="calcium", where="inside"),
    "renal_stones": Probe(GROUPS["kidneys"], what="calcium", where="inside"),
    "aortic_calcification": Probe(("aorta",), what="calcium", where="inside"),
}
"""Signs that are told as what was seen, each with the look that sees the same."""

_POINT = word_set("it its that this they them those these one ones there thing things same the")
_ORDER = {"first": 0, "1st": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3, "4th": 3, "fifth": 4,
          "last": -1}  # fmt: skip
_MOST = {"biggest": "larger", "largest": "larger", "greatest": "larger", "main": "larger", "smallest": "smaller",
         "brightest": "brighter", "densest": "brighter", "darkest": "darker"}  # fmt: skip
_MORE = {"bigger": "larger", "larger": "larger", "smaller": "smaller", "denser": "brighter", "brighter": "brighter",
         "darker": "darker", "wider": "larger", "longer": "larger"}  # fmt: skip
_ALL = word_set("they them those these all each spots ones total together")
_BRIGHT = frozenset({"brighter", "darker"})
_SIZE = word_set(
    "big large size sizes volume volumes ml liters measure measured measurement measurements dimensions diameter "
    "diameters wide width long length longest axis axes planes across mm cm lot thick"
)
_HU = word_set("hu dense density bright hounsfield attenuation mean solid")
_SPREAD = word_set("min max minimum maximum percentile percentiles p5 p10 p90 p95 range histogram")
_RIM = word_set("rim ring enhancing enhancement uniform uniformly homogeneous heterogeneous inhomogeneous necrotic")
_SHAPE = word_set("margin margins spiculated lobulated smooth irregular")
_GO = word_set("show display go jump centre center take put bring mark highlight segment mask outline view point")
_HIDE = word_set("hide")
_PLACE = word_set("where slice slices level place position located side lobe")
_FAR = word_set("distance far away close near nearest closest apart")
_TOUCH = word_set("touch touches touching abut abuts abutting against contact contacts adjoin border borders adjacent")
_SURFACE = word_set("capsule surface pleura pleural skin wall edge")
_BLOOD = word_set("transudate exudate blood bloody water pus simple hemorrhagic hemothorax chylous")
_PATH = word_set("way path route access approach trajectory medial lateral")
_WAYS = {"left": "left", "right": "right", "front": "front", "anterior": "front", "behind": "behind",
         "posterior": "behind", "back": "behind", "above": "above", "below": "below"}  # fmt: skip
_OTHER = word_set("other opposite contralateral")
_JUDGED = word_set("malignant malignancy benign cancer cancerous dangerous months years die serious diagnosis stage")
_NAMING = word_set("rename call name")
_NO_SIGHT = word_set("report changed prior previous spacing contrast model training trained")
_AGAIN = word_set("again missed recheck miss")
_LOOKED = word_set("look check missed miss recheck search")
_NEW = word_set("any is are there find look looking see seen detect")
_CLOSED = (
    _POINT | _ORDER.keys() | _MOST.keys() | _MORE.keys() | _SIZE | _HU | _SPREAD | _RIM | _GO | _HIDE | _PLACE | _FAR
    | _TOUCH | _SURFACE | _BLOOD | _OTHER | sights.THINGS | cues.FUNCTION_WORDS
    | word_set(
        "spot spots roughly approximately approx about now again ok okay only each both all count exactly please just "
        "number which many much left right side inside in 2 3 two three told really maybe so then those were was"
    )
)  # fmt: skip
_ASKING = word_set("how what which where why is are does do can could give tell")


@dataclass(frozen=True)
class Before:
    """The look that was told last.

    Attributes:
        look: as a probe; None where nothing was looked for.
        call: as it was asked.
        spots: masks that it gave and that are still there.
        sides: of the patient on which they lie.
        recent: whether nothing else was spoken of since.
        gone: whether it gave masks of which none is left.
    """

    look: Probe | None = None
    call: Call | None = None
    spots: tuple[str, ...] = ()
    sides: frozenset[str] = frozenset()
    recent: bool = False
    gone: bool = False


def before(state: State, what: str = "") -> Before:
    """What was seen before a message; of a kind of matter, where that was looked for."""
    recent = True
    spoken = next((state.masks[t.spots[0]].name for t in reversed(state.turns) if set(t.spots) & set(state.masks)), "")
    what = what or ("fluid" if "fluid" in spoken.lower() else "")
    for turn in reversed(state.turns):
        for call in reversed(turn.calls):
            look = SIGNS.get(call.id) if isinstance(call, Finding) else call
            if isinstance(call, Report) and turn.spots:
                look = Probe(what="fluid" if "fluid" in state.masks[turn.spots[0]].name.lower() else "spots")
            if isinstance(look, Probe) and look.where != "at" and (not what or _same(what, look, ())):
                spots = tuple(id for id in turn.spots if id in state.masks)
                named = tuple(
                    id for id in spots if (look.what in state.masks[id].name.lower()) is (look.what == "fluid")
                )
                spots = named or spots  # an answer may have seen fluid and spots
                sides = frozenset(f.side for f in turn.facts if f.key == "spot_volume_ml" and f.side)
                return Before(look, call, spots, sides, recent, bool(turn.spots) and not spots)
        # what was measured of a spot, shown or explained is no other subject
        recent = recent and (bool(turn.spots) or not any(call.structures for call in turn.calls))
    return Before()


def seen(message: str, state: State, alone: bool = False) -> tuple[Call, ...] | None:
    """Calls of a message about something seen; None where it is about something else.

    Args:
        message: as typed.
        state: of the conversation before it.
        alone: whether a look is given too where nothing more is asked of what it sees.
    """
    said = SPELLER.mend(words(english(message)))
    last = before(state)
    if not said or _names_a_mask(message, state) or _JUDGED & set(said) or (last.look is None and not _names(said)):
        return None
    if last.recent and _AGAIN & set(said) and _LOOKED & set(said):
        return (last.call,)
    if last.recent and last.spots and _PATH & set(said) and (ways := _ways(said)):
        return tuple(Neighbours((IT,), side=way) for way in ways)
    done: list[Call] = []
    for part in sights.parts(said):
        part = [word for word in part if word not in STOP]
        kind = sights.kind(set(part), False)
        if not any(isinstance(c, Probe | Finding) for c in done) and any(c.structures for c in done):
            last = replace(last, recent=False)  # the parts before are about structures
        if kind and re.search(r"\b(not|without|excluding) (the )?\S+$", " ".join(part)):
            continue  # "lung only, not the fluid"
        calls = _part(part, before(state, kind) if kind and before(state, kind).look else last, done)
        calls = _measured(part) if calls is None else calls
        if calls is None:
            if _is_aside(part, bool(done)):
                continue
            return None
        done += [call for call in calls if call not in done]
    asked = [call for call in done if not isinstance(call, Probe | Finding) and not call.structures]
    asked = [call for call in asked if not (isinstance(call, Show) and call.action == "window")]
    asked += [call for call in done if isinstance(call, Relate) or call == last.call]
    looks = any(isinstance(call, Probe | Finding) for call in done)
    if not asked and not (looks and (alone or (last.recent and last.spots))):
        return None  # a look alone is the planners' own, who know more words for it
    return _tidy(done, [value for value, unit in measures(said) if unit == "mL"])


def _names_a_mask(message: str, state: State) -> bool:
    """Whether a message names a mask that a person named ("Tumour (T2)") and no look made."""
    said = f" {' '.join(words(message))} "
    spots = {id for turn in state.turns for id in turn.spots}
    for name in (words(mask.name) for id, mask in state.masks.items() if id not in spots):
        plain = len(find(name)) == 1 and find(name)[0].kind == "known"
        if name and not plain and f" {' '.join(name)} " in said:
            return True
    return False


def _tidy(calls: Sequence[Call], values: Sequence[float]) -> tuple[Call, ...]:
    """Calls without values that another one of them tells besides, a volume held against the one that was named."""
    more = {call.of for call in calls if isinstance(call, Measure) and call.what in ("hu_range", "rim")}
    kept: list[Call] = []
    for call in calls:
        plain = isinstance(call, Measure) and call.margin_mm is None and call.margin_voxels is None
        if plain and call.what in ("volume", "mean_hu"):
            if call.of in more or any(isinstance(c, Measure) and c.of == call.of for c in kept):
                continue
            if len(values) == 1:
                call = changed(call, what="volume", than=values[0], than_is="more")
        kept.append(call)
    return tuple(kept)


def _measured(part: list[str]) -> list[Call] | None:
    """Values of structures that a part names beside what is seen, as the rules read it; None where it is none."""
    if not any(m.kind == "known" for m in find(part)) or sights.kind(set(part), False):
        return None
    calls = parse(" ".join(part))
    return list(calls) if all(isinstance(call, Measuring | Comparing) and call.structures for call in calls) else None


def _ways(said: Sequence[str]) -> tuple[str, ...]:
    """Sides of the patient that words name; "medial" and "lateral" are both, since which is which the scan tells."""
    found = [_WAYS[word] for word in said if word in _WAYS]
    return ("left", "right") if {"medial", "lateral"} & set(said) else tuple(dict.fromkeys(found))


def _names(said: Sequence[str]) -> bool:
    return bool(sights.kind(set(said), False))


def _is_aside(part: Sequence[str], after: bool) -> bool:
    """Whether a part only says something besides: it names no structure and does not begin as a question."""
    plain = not any(m.kind == "known" for m in find(list(part)))
    return plain and (len(part) < 3 or not _ASKING & {part[0]}) and (after or not _NO_SIGHT & set(part))


def _part(part: list[str], last: Before, done: list[Call]) -> list[Call] | None:
    """Calls of one part; None where it is not about what is seen."""
    here = set(part)
    if told := formula(part):
        return [told] if isinstance(told, Show) else None
    if part[0] in _NAMING:
        edits = [call for call in parse(" ".join(part)) if isinstance(call, Edit) and call.op == "rename"]
        return [changed(edits[0], of=(IT,))] if edits and (done or (last.recent and last.spots)) else None
    if "window" in here:
        windows = [call for call in parse(" ".join(part)) if isinstance(call, Show) and call.action == "window"]
        rest = _part([w for w in part if w in _SHAPE | _POINT], last, done) if here & _SHAPE else []
        return [*windows, *(rest or [])] if windows else None
    mentions = [m for m in find([w for w in part if w not in sights.WORDS])]
    strange = [
        m for m in mentions if m.kind == "unknown" and not m.lesion and not set(m.text.split()) & (_SURFACE | _PLACE)
    ]
    ids = tuple(dict.fromkeys(id for m in mentions if m.kind == "known" for id in m.ids))
    what = sights.kind(here, bool(ids))
    looked = next((call for call in reversed(done) if isinstance(call, Probe)), None)
    subject = looked or last.look
    placed = bool(here & (_FAR | _TOUCH)) or _is_relation(part)
    if what and not (subject is not None and _same(what, subject, () if placed else ids)):
        own = sights.sought(part) if not placed else sights.sought([w for w in part if not _inside(w, part, mentions)])
        if own is None or _measures_organ(part, ids, placed):
            return None
        own = _where_before(own, last, done)
        asked = _asked(part, ids if placed else (), mentions, (), own) or []
        return [own, *asked]
    if subject is None:
        return None
    if (strange and not placed) or (not what and here & sights.MATTER):
        return None
    pointed = bool(what) or looked is not None or (last.recent and _points(part, here, ids, placed))
    if not pointed or (ids and not placed and not set(ids) <= set(subject.of)):
        return None
    spots = () if looked is not None else last.spots
    if looked is None and not spots and last.gone:
        return None
    if looked is None and not spots:
        again = here & (_MOST.keys() | _ORDER.keys() | _PLACE | _GO | _SIZE) or {"how", "many"} <= here
        return [last.call] if again and (what or here & _POINT) and here <= _CLOSED | sights.WORDS else None
    if here & _OTHER:
        return [_across(subject, last)]
    if what and here & _NEW and not here & _PLACE and not _is_ask(here, part):
        return [subject]
    return _asked(part, ids if placed else (), mentions, spots, subject)


def _same(what: str, look: Probe, ids: tuple[str, ...]) -> bool:
    """Whether a kind of matter, in what is named, is what was looked for."""
    alike = {"spots", "dark", "bright", "soft"}
    return (what == look.what or {what, look.what} <= alike) and (not ids or set(ids) <= set(look.of))


def _points(part: list[str], here: set[str], ids: Sequence[str], placed: bool) -> bool:
    """Whether words that name nothing seen are about what was seen last."""
    if ids and not placed:
        return False
    strange = here - _CLOSED - sights.MATTER
    side = bool(here & _OTHER) and len(strange) <= 1
    return side or bool(here & (_POINT - {"the", "there"}) and _is_ask(here, part)) or not strange


def _is_ask(here: set[str], part: Sequence[str]) -> bool:
    asks = _SIZE | _HU | _SPREAD | _RIM | _SHAPE | _GO | _HIDE | _FAR | _TOUCH | _BLOOD | _MOST.keys() | _ORDER.keys()
    return bool(here & asks or margins(part) or {"how", "many"} <= here or here & _PLACE)


def _is_relation(part: Sequence[str]) -> bool:
    return bool(cues.RELATIONS["distance"].search(" ".join(part)))


def _inside(word: str, part: Sequence[str], mentions: Sequence[Mention]) -> bool:
    """Whether a word names a structure that something seen is only held against."""
    bare = [w for w in part if w not in sights.WORDS]
    return any(word in bare[m.start : m.end] for m in mentions if m.kind == "known")


def _measures_organ(part: Sequence[str], ids: Sequence[str], placed: bool) -> bool:
    """Whether a value of an organ is asked for in the same breath: "volume of the liver and its lesions"."""
    text = " ".join(part)
    return bool(ids) and not placed and any(f"{word} of the" in text for word in ("volume", "size", "density"))


def _where_before(own: Probe, last: Before, done: Sequence[Call]) -> Probe:
    """A look that names no place, in what the parts before it name or what was looked into before."""
    named = next((call.structures for call in reversed(done) if call.structures), ())
    if named and not (own.of or own.region):
        return changed(own, of=named, where="inside")
    if own.of or own.region or last.look is None or not last.recent:
        return own
    return changed(own, of=last.look.of, where=last.look.where) if last.look.what == own.what else own


def _across(look: Probe, last: Before) -> Probe:
    """The look on the side on which nothing was seen, of a pair; else the same again."""
    other = tuple(id for id in look.of if id.split("_")[0] not in last.sides) if last.sides else ()
    twins = tuple(filter(None, map(counterpart, look.of)))
    return changed(look, of=other if other and len(other) < len(look.of) else twins or look.of)


def _asked(
    part: list[str], ids: tuple[str, ...], mentions: Sequence[Mention], spots: tuple[str, ...], look: Probe
) -> list[Call] | None:
    """What a part asks of something seen; of ``spots`` where they are known, else of what the look will see."""
    here = set(part)
    if "why" in here and look.what == "fluid":
        return [Lookup(topic="pleural_effusion")]
    if here & _OTHER and not ids:
        return [look]
    if any(isinstance(call, Edit) for call in parse(" ".join(part))):
        edits = [call for call in parse(" ".join(part)) if isinstance(call, Edit)]
        return [changed(call, of=(IT, *(i for i in call.of if i in ids))) for call in edits] if not ids else None
    unknown = tuple(
        m.text for m in mentions if m.kind == "unknown" and not m.lesion and not _SURFACE & set(m.text.split())
    )
    nth = next((_ORDER[w] for w in part if w in _ORDER), None)
    most = next((_MOST[w] for w in part if w in _MOST), "") or next(
        (_MORE[w] for w in part if spots and w in _MORE), ""
    )
    chosen = spots if nth is None else spots[nth : nth + 1 or None]
    if spots and not chosen:
        return None
    one = chosen[:1] if chosen and (nth is not None or len(chosen) == 1) else (IT,)
    many = chosen if chosen and (here & _ALL or nth is not None) else one
    calls: list[Call] = []
    if most and nth is None and (not spots or len(spots) > 1) and not ({"slice", "level"} & here and "where" in here):
        calls.append(Rank(spots or (IT,), by="mean_hu" if most in _BRIGHT else "volume", which=most))
        one = many = (IT,)
    if here & _SURFACE and not set(ids) - {"body"} and (here & (_FAR | _TOUCH) or _is_relation(part)):
        holder = ("body",) if "skin" in here else ()
        calls.append(Relate((*one, *holder), kind="surface"))
    elif ids and (here & (_FAR | _TOUCH) or _is_relation(part)):
        calls.append(Relate((*one, *ids), kind="distance", unknown=unknown))
    elif here & _TOUCH:
        calls.append(Neighbours(one, unknown=unknown))
    for length, unit in margins(part):
        calls.append(Measure(many, **{"margin_mm" if unit == "mm" else "margin_voxels": length}))
    if here & _RIM:
        calls.append(Measure(one, what="rim"))
    elif here & _SHAPE:
        calls += [Measure(one), Lookup(topic="margin")]
    if here & (_BLOOD - {"water"}) and look.what == "fluid":
        calls += [Measure(one, what="mean_hu"), Lookup(topic="fluid_kind")]
    sized = [word for word in part if word in _SIZE | _HU | _SPREAD]
    if here & _HIDE:
        calls.append(Show(many, action="hide"))
    elif here & _GO and not (sized and not here & word_set("show jump go put take")):
        made = here & word_set("mask segment outline mark") and spots
        calls.append(Measure(many) if made else Show(many, action="centre" if len(many) == 1 else "show"))
    elif not calls or sized:
        bound = next((value for value, unit in measures(part) if unit == ("HU" if here & _HU else "mL")), None)
        what = "hu_range" if here & _SPREAD else "mean_hu" if here & _HU else "volume"
        if not spots and not here & _SPREAD:
            pass  # a look tells sizes, HU and places itself
        elif sized or here & _PLACE or bound is not None:
            calls.append(Measure(many, what=what, than=bound, than_is="more" if bound is not None else ""))
        elif {"how", "many"} <= here:
            calls.append(look)
    return calls or ([] if not spots else None)
