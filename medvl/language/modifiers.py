"""How an answer is wanted: the unit, the places after the point, the layout. Taken out of a message before it is read.

"How wide is the aorta, in cm?", "liver volume in litres", "round to one decimal", and alone after an answer:
"no, I meant in cm". What is left of the message is read as if nothing had been said of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ..vocabulary.structure import word_set
from .calls import Call, Comparing, Measure, Measuring, Presence, Relating, Segment, Valued, changed, turned
from .calls.base import Unit

_UNITS = {
    "cm": "cm|centimeters?", "mm": "mm|millimeters?", "L": "liters?",
    "cc": "cc|ccm|cm3|cubic cm|cubic centimeters?", "mL": "ml|milliliters?",
}  # fmt: skip
_LENGTHS = frozenset({"cm", "mm"})
_COUNTS = {"no": 0, "zero": 0, "without": 0, "one": 1, "a": 1, "two": 2, "three": 3, "0": 0, "1": 1, "2": 2, "3": 3}
_LEAD = r"(?:(?:and|but|or|please|,|\() )*(?:in|as|into|to|using|expressed in|given in|converted to|convert to)"
_UNIT = re.compile(
    rf"(?:(?<=\s)|^){_LEAD} (?:the unit )?(?:(?P<unit>{'|'.join(f'(?:{u})' for u in _UNITS.values())}))"
    r"(?: instead| please| rather)*(?: \))?(?=\s|$)"
)
_ROUND = re.compile(
    r"(?:(?<=\s)|^)(?:(?:and|please|,|\() )*(?:round(?:ed)?(?: off| it| them| that)? )?(?:to|with|at) (?:the nearest )?"
    r"(?P<count>no|zero|one|a|two|three|[0-3])(?: single)? (?:decimals?|digits? after the point)(?: places?| points?|"
    r" digits?)?(?: please)?(?: \))?(?=\s|$)"
)
_WHOLE = re.compile(
    r"(?:(?<=\s)|^)(?:(?:and|please|,|\() )*(?:round(?:ed)?(?: off| it| them)? )?"
    r"(?:(?:to )?the nearest (?:whole )?(?:number|integer|mm|ml|cm|millimeter|milliliter|centimeter|hu)|"
    r"(?:to|as|in) (?:a )?(?:whole numbers?|integers?)|without decimals?|no decimals?)(?=\s|$)"
)
_LAYOUT = re.compile(
    r"(?:(?<=\s)|^)(?:(?:and|please|,|\() )*(?:in|as|with) (?:a |an )?(?:short |small |nice |neat |simple )*"
    r"(?:table|tables|bullet points?|bullets?|list|bulleted list|one sentence|short|brief|tabular form|few "
    r"words)(?=\s|$)"
)
# what may stand beside a unit in a message that asks for nothing else
_ALONE = word_set(
    """
    no not i meant mean want wanted it that them please and but the same value values number numbers answer instead give
    me can you could what is how about now again in , . ? ! sorry actually rather would be have get show tell convert
    express size again these those this s result so ok okay round as or well us asked said
    """
)
_NUMBER = re.compile(r"(?<![\w.,])(-?\d[\d,]*(?:\.\d+)?) (mm|mL)(?!\w)")
_PER_UNIT = {("mm", "cm"): 10.0, ("mL", "L"): 1000.0, ("mL", "cc"): 1.0}
_PLACES = {"cm": 1, "L": 2}


@dataclass(frozen=True)
class Wish:
    """How an answer is wanted.

    Attributes:
        unit: as in ``calls.Valued``.
        decimals: as in ``calls.Valued``.
        words: the message without it.
    """

    unit: Unit
    decimals: int | None
    words: list[str]

    @property
    def given(self) -> bool:
        """Whether anything is wished."""
        return bool(self.unit) or self.decimals is not None

    @property
    def alone(self) -> bool:
        """Whether nothing else is asked."""
        return self.given and all(word in _ALONE for word in self.words)

    def on(self, call: Call) -> Call:
        """A call with the wish. A length is no volume: "how big is it in cm" asks for extents."""
        if not self.given or not isinstance(call, Valued):
            return call
        call = replace(call, unit=self.unit, decimals=self.decimals)
        named = "volume" in self.words or "volumes" in self.words
        if self.unit in _LENGTHS and call.attribute == "volume" and not named:
            if isinstance(call, Measuring):
                return turned(call, Measure, what="extent")
            return changed(call, by="extent")
        return call

    def again(self, last: Call) -> Call | None:
        """The last call once more as wished; None where it had no value."""
        if isinstance(last, Segment | Presence):
            last = turned(last, Measure)
        if not isinstance(last, Measuring | Comparing | Relating):
            return None
        if self.unit in ("L", "cc", "mL"):
            last = changed(last, what="volume")
        return self.on(last)


def wish(message: list[str]) -> Wish:
    """What a message says of how its answer is wanted, and the rest of it.

    Args:
        message: words, mended.
    """
    text = " ".join(message)
    unit, decimals = "", None
    if (match := _UNIT.search(text)) is not None:
        unit = next(u for u, forms in _UNITS.items() if re.fullmatch(forms, match["unit"]))
        # a unit of volume is a word for volume, and stays: "how much is that in litres"
        text = text[: match.start()] + (" " if unit in _LENGTHS else f" in {match['unit']} ") + text[match.end() :]
    if (match := _ROUND.search(text)) is not None:
        decimals = _COUNTS[match["count"]]
        text = text[: match.start()] + " " + text[match.end() :]
    elif (match := _WHOLE.search(text)) is not None:
        decimals = 0
        text = text[: match.start()] + " " + text[match.end() :]
    text = _LAYOUT.sub(" ", text)
    return Wish("" if unit == "mL" else unit, decimals, text.split() or ["?"])
