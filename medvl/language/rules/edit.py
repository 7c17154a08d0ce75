"""Rules for masks that are to be changed by words: smoothed, filled, cleaned up, merged, subtracted, renamed.

What is changed stands in the request; ``mask_edits`` does it. Which words ask to grow, shrink, hollow, split, intersect
or threshold is a table of ``cues``. What the list of masks has no tool for (to invert, to copy) is answered with what
there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from .. import cues
from ..asking import about
from ..calls import IT, LISTED, Call, Chat, Edit, Remove, mask_of
from ..clauses import Clause
from ..quantities import LENGTHY, hu_range, length_mm
from ..referring import superlative

_LEAD = (
    "((and|now|then|ok|okay|please|also|just|can|could|would|will|you|we|i|want|to|like|need|let|us|me|hey|hi|,|try|"
    "kindly|next|finally|afterwards|so|do) )*"
)
_ONE = "(it|its|them|this|that|these|those|both|@)"
_RIM = "(masks?|outlines?|edges?|borders?|contours?|surfaces?|boundar(y|ies))"
_EDGE = f"(the |its |their |his |her )?({_RIM}( of)? )?"
_PIECE = "(connected )?(piece|component|connected component|part|fragment|region|blob|cluster|island)"
_SPECKS = "(islands?|specks?|speckles?|bits|pieces|fragments|blobs|components|voxels|pixels|noise|crumbs|spots|parts)"
_SMALL = (
    "(the|all|any|small|smaller|smallest|tiny|little|its|loose|isolated|stray|of|extra|single|disconnected|"
    "unconnected|outlying|remote|other|false|separate)"
)
_SMOOTH = re.compile(
    rf"^{_LEAD}smooth(en|ing)?( out)?(?!\S)|"
    rf"(make|draw|get) ({_EDGE}(the )?{_ONE}( masks?)?|(the |its |their )?{_RIM})( (a bit|a little|more|much))* "
    rf"smooth(er)?(?!\S)|"
    rf"^{_LEAD}round( off)? {_EDGE}{_ONE}?"
)
_FILL = re.compile(
    rf"^{_LEAD}(fill( (in|up))*|close( up)?|remove|get rid of|delete|eliminate)( {_SMALL}| (inner|internal|inside))* "
    rf"(holes?|gaps?|cavit(y|ies)|hollows?)(?!\S)|^{_LEAD}fill( (in|up))* (the )?{_ONE}( masks?)?( up| in)?[ .!]*$|"
    rf"^{_LEAD}fill (the )?{_ONE} holes"
)
_LARGEST = re.compile(
    rf"keep( only| just)?( the| its| their)? (largest|biggest|main)( {_PIECE}| one)?(?!\S)|(largest|biggest|main) "
    rf"{_PIECE} only|only( keep)? the (largest|biggest|main) {_PIECE}|"
    rf"^{_LEAD}(remove|delete|drop|discard) (everything|all|all pieces|all parts)( of it)? (but|except|apart from|"
    rf"other than) (the|its) (largest|biggest|main)"
)
_ISLANDS = re.compile(
    rf"^{_LEAD}(remove|delete|get rid of|drop|erase|clear( away)?|eliminate|discard|clean( up)?|filter( out)?|take out)"
    rf"( {_SMALL})+ {_SPECKS}(?!\S)|^{_LEAD}(remove|delete|get rid of|drop|erase|clear) "
    rf"({_SPECKS.replace('|parts', '').replace('|bits', '')})(?!\S)|^{_LEAD}(despeckle|denoise)"
)
_UNION = re.compile(
    rf"^{_LEAD}(merg(e|ing)|combin(e|ing)|unite|join|fuse|union|unify)(?!\S)|"
    rf"^{_LEAD}(put|make|turn) .*@.* (into )?(one|a single|1|the same|a joint|a common) (mask|object|label|structure)|"
    rf"^{_LEAD}add (the )?{_ONE}( masks?)?( (and|,)( the)? @( masks?)?)* (to|onto|into|with) (the )?{_ONE}(?!\S)|"
    rf"^{_LEAD}(make|create|give me|i want|build|get)( the| a)? union of"
)
_THING = "(the |any |all |its |big |large |major |blood )*"
_SUBTRACT = re.compile(
    rf"^{_LEAD}subtract(?!\S)|"
    rf"^{_LEAD}(remove|cut|exclude|take|delete|erase|clear|carve|substract|deduct|leave) (out |away )?{_THING}"
    rf"({_ONE}|#)( masks?)?( (and|,)( the)? (@|#))* (away |out )?(from|out of|off)( the)? ({_ONE}|mask)(?!\S)"
)
_TO = "(to|as|into|in|by)"
_RENAME = re.compile(
    rf"^{_LEAD}(re ?name|re ?label)(?!\S)(?P<what>.*?) ({_TO} )(?P<name>.+)$|"
    rf"^{_LEAD}(change|set|edit|put|correct) (?P<what2>.*?)names?(?P<what3>.*?) ({_TO} )(?P<name2>.+)$|"
    rf"^{_LEAD}(call|name|label) (?P<what4>(it|this|that|them)( mask| one)?|(the|this|that) mask|(the )?\S+( \S+)? "
    rf"mask|(the )?[^ ]+( [^ ]+)?(?= as )) (as )?(?!a doctor|what|how)(?P<name4>.+)$|"
    rf"^{_LEAD}(re ?name|re ?label) (?P<what6>it|this|that) (?P<name6>.+)$|"
    rf"^{_LEAD}give (?P<what5>.*?) (the |a |an )?(new )?name( of)? (?P<name5>.+)$"
)
_TOOLLESS = re.compile(
    rf"^{_LEAD}(trim|crop|invert|duplicate|copy the @|clean( it| them| the @)?( masks?)? up|clean( up)?|tidy( up)?|"
    "sharpen|refine|re ?name|re ?label|cut (off|away|out))(?!\\S)|"
    rf"(make|draw) (it|them|{_EDGE}(the )?@)( masks?)?( a| (bit|little))* rounder|"
    "(call|name) (it|this|that|the mask) as|"
    "(change|edit|set|give)( _){0,3} name( _)*"
)
_HOW_TO = cues.cue(
    "(how|where) (do|can|could|should|to|would)( (i|we|you|one))?( _)? (remove|delete|erase|undo|clear|drop|discard|"
    "get rid of|take away|cut|smooth*|fill|merge|combine|join|subtract|rename|relabel|keep|grow|shrink|split|edit)|"
    "(is it possible|is there a way) to (smooth*|fill|merge|combine|join|subtract|rename|grow|shrink|split|edit)|"
    "^(can|could|may) (i|we|one) (smooth*|fill|merge|combine|join|subtract|rename|grow|shrink|split|edit)"
)
_NOT_OF_A_MASK = cues.cue(
    "volumes?|hu|mean|density|attenuation|image|file|scan|ct|window|report|viewer|page|app|case|picture|screen|list|"
    "table|values?|sizes?|functions?"
)
_OF_PARTS = frozenset({"fill", "islands", "largest", "hollow", "split", "threshold", "interpolate"})
_OTHER_LENGTH = re.compile(rf"^{_LEAD}(?:by |try |use |take |only )*(?P<mm>\d+(?:\.\d+)?)( ?mm)?( instead)?[ .!,]*$")
_AGAIN = re.compile(rf"^{_LEAD}redo( (it|that|this|the last (one|step|edit|change)))?[ .!]*$")


def edited(clause: Clause) -> list[Call] | None:
    """A mask to be changed: "smooth it", "fill the holes", "merge the kidneys", "rename it to tumour"."""
    if clause.says(_HOW_TO):
        return [Chat("edit")]
    if clause.declined:
        return None
    op = _tabled(clause)
    if op in LENGTHY and {"voxel", "voxels", "pixel", "pixels"} & set(clause.words):
        return [Chat("edit_none")]
    if op:
        return [_merged(clause, op) if op == "intersect" else _one_by_one(op)(clause)]
    if clause.which or clause.words[0] in ("is", "are", "was", "were", "why", "does", "did", "has"):
        return None
    text = LISTED.sub("@", clause.masked)
    renamed = _renamed(clause)
    if renamed is not None:
        return [renamed]
    for pattern, make in _KINDS:
        if pattern.search(text) and not clause.has(_NOT_OF_A_MASK):
            return [make(clause)]
    if _TOOLLESS.search(text) and not clause.has(_NOT_OF_A_MASK):
        return [Chat("edit_none")]
    return None


def _tabled(clause: Clause) -> str:
    """The change that the tables of ``cues`` read from an order, "" for none."""
    said = clause.masked[len(re.match(_LEAD, clause.masked)[0]) :].split()
    verb, behind = (said[0], said[1:]) if said else ("", [])
    below_water = any(word.startswith("-") for word in clause.words)  # a number that only HU have
    ranged = {"hu", "hounsfield"} & set(clause.words) or cues.HU_KEPT & {verb} or below_water
    if verb in cues.HU_KEPT | cues.HU_TAKEN and ranged and hu_range(clause.words) != (None, None):
        return "threshold"
    if clause.has(_NOT_OF_A_MASK):
        return ""
    for place, word in enumerate(behind, start=1):
        if verb == "make" and word in cues.EDIT_SIZES and {*said[place + 1 : place + 2]} <= cues.SIZED_BY:
            return cues.EDIT_SIZES[word]
        for verbs, things, op in cues.EDIT_THINGS:
            if verb in verbs and word in things:
                return op
    return cues.EDIT_VERBS.get(verb, "")


def redone(clause: Clause) -> list[Call] | None:
    """What was taken back of an edit, done again."""
    done = [r for turn in clause.context.turns for r in turn if isinstance(r, Edit) and r.changed]
    again = _OTHER_LENGTH.match(clause.text)
    lengthy = [r for r in done if r.op in LENGTHY]
    if again and lengthy:  # "undo, do 3 instead"
        return [replace(lengthy[-1], radius_mm=float(again["mm"]))]
    if done and done[-1].op == "undo" and _AGAIN.match(clause.text):
        return [replace(done[-1], op="redo")]
    return None


def removed(clause: Clause) -> list[Call] | None:
    """A mask of the list, known by its own name alone, to be taken out of it: "delete object 2"."""
    names = _listed(clause.words)
    if not names or not clause.has(cues.REMOVE) or clause.yes_no or clause.which or clause.structures:
        return None
    return [Remove(names)]


def _one_by_one(op: str) -> Callable[[Clause], Edit]:
    """Of a change that each mask named gets by itself."""

    def make(clause: Clause) -> Edit:
        masks = _listed(clause.words)
        values = _values(op, clause.words)
        if masks:
            ids = clause.structures if clause.explicit else ()
            return Edit((*ids, *masks), op, **values)
        call = about(clause, Edit, op=op, **values)
        if op in _OF_PARTS:  # "islands" and "part" are no structures that were asked for
            call = replace(call, unknown=(), nearest=())
        if call.of and (clause.explicit or call.description):
            return call
        last = clause.context.last
        if not call.of and not call.unknown and last is not None:
            call = replace(call, of=last.structures, choose=last.choose or superlative(clause.words))
        return call if call.unknown or (call.choose and len(call.of) > 1) else replace(call, of=(IT, *call.of))

    return make


def _values(op: str, words: list[str]) -> dict[str, float]:
    """Numbers of an edit."""
    if op in LENGTHY:
        length = length_mm(words)
        return {"radius_mm": length} if length is not None else {}
    ends = zip(("low_hu", "high_hu"), hu_range(words), strict=True) if op == "threshold" else ()
    return {name: hu for name, hu in ends if hu is not None}


def _merged(clause: Clause, op: str = "union") -> Edit:
    """All that is named; behind "to", the first is what the others are added to."""
    items, pointed = _items(clause)
    pointed = pointed or ("both" in clause.words and not clause.explicit)
    at = next((i for i, w in enumerate(clause.words) if w in ("to", "onto", "into")), len(clause.words))
    added = clause.words[:1] == ["add"] or " add " in f" {clause.text} "
    behind = [item for item in items if item[0] > at] if added else []
    items = behind + [item for item in items if item not in behind]
    return _of(items, pointed, op, clause)


def _subtracted(clause: Clause) -> Edit:
    """First what something is taken away from, then what is taken away."""
    items, pointed = _items(clause)
    words = clause.words
    at = next((i for i, w in enumerate(words) if w in ("from", "off") or words[i : i + 2] == ["out", "of"]), 0)
    target = [item for item in items if item[0] > at > 0]
    pointed = pointed and not target and at > 0
    return _of(target + [item for item in items if item not in target], pointed, "subtract", clause)


def _of(items: list[tuple], pointed: bool, op: str, clause: Clause) -> Edit:
    """An edit of what is named; what "it" points to comes first."""
    ids = [id for _, kind, values in items if kind != "unknown" for id in values]
    strange = tuple(v for _, kind, values in items if kind == "unknown" for v in values)
    last = clause.context.last
    if pointed and last is not None:
        before = last.structures if op == "subtract" or ids or strange else clause.context.two()
        ids = [*(id for id in before if id not in ids), *ids]
    near = tuple(dict.fromkeys(id for m in clause.unknown for id in m.nearest))
    of = ((IT,) if pointed else ()) + tuple(dict.fromkeys(ids))
    return Edit(of, op, unknown=strange, nearest=near)


def _items(clause: Clause) -> tuple[list[tuple], bool]:
    """What a clause names, in order (place, kind, ids or words), and whether it points to something besides."""
    named = [m for m in clause.mentions if m.kind in ("known", "unknown")]
    pointers = ("it", "them", "this", "that", "these", "those", "its")
    own = [m for m in named if m.kind == "unknown" or m.concept or clause.words[m.start] not in pointers]
    items = [(m.start, m.kind, m.ids if m.kind == "known" else (m.text,)) for m in own]
    inside = {i for m in own for i in range(m.start, m.end)}
    items += [
        (i, "listed", (mask_of(w),)) for i, w in enumerate(clause.words) if LISTED.fullmatch(w) and i not in inside
    ]
    pointed = any(w in pointers for i, w in enumerate(clause.words) if i not in inside)
    return sorted(items), pointed or not items


def _listed(words: list[str]) -> tuple[str, ...]:
    return tuple(mask_of(w) for w in words if LISTED.fullmatch(w))


def _renamed(clause: Clause) -> Edit | None:
    """Another name for one mask; ``name`` is it as it was read, and the message has its own spelling."""
    match = _RENAME.match(clause.text.rstrip(" .!?"))
    if match is None or clause.says(cues.cue("report|file|scan|ct|window|page|app|patient|folder")):
        return None
    name = next(match[g] for g in ("name", "name2", "name4", "name5", "name6") if match[g])
    what = " ".join(filter(None, (match[g] for g in ("what", "what2", "what3", "what4", "what5", "what6"))))
    at = len(clause.text[: match.end() - len(name)].split())
    kept = replace(clause, mentions=[m for m in clause.mentions if m.end <= at], words=clause.words[:at])
    explicit = any(m.kind == "known" and clause.words[m.start] not in ("it", "this", "that") for m in kept.mentions)
    kept = replace(kept, explicit=explicit and clause.explicit, text=" ".join(kept.words), masked=what)
    return replace(_one_by_one("rename")(kept), name=name.strip())


_KINDS: tuple[tuple[re.Pattern[str], Callable[[Clause], Edit]], ...] = (
    (_FILL, _one_by_one("fill")),
    (_LARGEST, _one_by_one("largest")),
    (_ISLANDS, _one_by_one("islands")),
    (_SMOOTH, _one_by_one("smooth")),
    (_UNION, _merged),
    (_SUBTRACT, _subtracted),
)
