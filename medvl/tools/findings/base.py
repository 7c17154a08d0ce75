"""What a finding is: a published rule on measured values, and what it gives on one scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ...vocabulary.spoken import all_the
from ..fact import Fact
from ..looks.spots import Look
from ..scene import Scene

Verdict = Literal["met", "not met", "borderline", "measured", "not assessable"]


@dataclass(frozen=True)
class Outcome:
    """What a rule gave on one scan.

    Attributes:
        verdict: ``met``, ``not met`` or ``borderline``: the rule could be applied; ``measured``: there is a value but
            no rule that holds for this scan; ``not assessable``: not even a value.
        facts: the values, in the order they are told.
        told: the values in words, a sentence without its full stop; "" without values.
        meaning: what the rule says of them, a sentence without its full stop.
        limits: why the scan does not allow more, each a sentence without its full stop.
        short: a few words for the impression, "" where there is nothing to say there.
        look: what was looked at, of a finding that is seen rather than reckoned; its spots are offered as masks.
    """

    verdict: Verdict
    facts: tuple[Fact, ...] = ()
    told: str = ""
    meaning: str = ""
    limits: tuple[str, ...] = ()
    short: str = ""
    look: Look | None = None


@dataclass(frozen=True)
class Finding:
    """A finding that can be asked for.

    Attributes:
        id: of ``FINDINGS``.
        name: for the reader.
        needs: structures without which nothing can be said.
        helps: structures that tell whether the rule holds for this scan (contrast, level of the body).
        reference: publication and threshold, as the answer cites it.
        evaluate: the rule. It is called with a scene in which everything of ``needs`` was looked for and at least one
            of it was found.
        by_hu: whether the rule reads Hounsfield units; a rule on sizes alone does not.
        by_side: whether the rule is called with the organs that are asked about besides, and looks at no other.
    """

    id: str
    name: str
    needs: tuple[str, ...]
    helps: tuple[str, ...]
    reference: str
    evaluate: Callable[..., Outcome]
    by_hu: bool = True
    by_side: bool = False

    def of(self, scene: Scene, asked: Sequence[str] = ()) -> Outcome:
        """Apply the rule to a scene; ``asked``: of a pair of organs those that it is asked of, none for both."""
        needs = tuple(id for id in self.needs if id in asked) if self.by_side else ()
        needs = needs or self.needs
        if not any(scene.mask(id) is not None for id in needs):
            were = "were" if len(needs) > 1 else "was"
            return Outcome("not assessable", limits=(f"{all_the(needs)} {were} not found in this scan",))
        if self.by_hu and not scene.ct.hu_trusted:
            return Outcome("not assessable", limits=(NO_HU,))
        return self.evaluate(scene, needs) if self.by_side else self.evaluate(scene)


NO_HU = "the values of this scan are no Hounsfield units, which this rule reads"
CONTRAST_GIVEN = "contrast was given, and this rule holds only without it"
CONTRAST_UNKNOWN = "whether contrast was given could not be told, and this rule holds only without it"


def needs_no_contrast(scene: Scene) -> str:
    """Why a rule for scans without contrast does not hold; "" where it does."""
    from ..contrast import given

    answer = given(scene)
    return "" if answer is False else CONTRAST_UNKNOWN if answer is None else CONTRAST_GIVEN


def seen_as(look: Look, short: str, verdict: Verdict = "met") -> Outcome:
    """A look as an outcome.

    Args:
        look: what looking gave.
        short: for the impression, where something was seen.
        verdict: where something was seen.
    """
    from ..seen import facts_of

    if look.seen is None:
        return Outcome("not assessable", limits=look.limits, look=look)
    if not look.seen:
        return Outcome("not met", facts_of(look), look.told, "", look.limits, look=look)
    return Outcome(verdict, facts_of(look), look.told, "", look.limits, short, look)
