"""What a finding is: a published rule on measured values, and what it gives on one scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..contract import Fact
from ..scene import Scene
from ..words import all_the

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
    """

    verdict: Verdict
    facts: tuple[Fact, ...] = ()
    told: str = ""
    meaning: str = ""
    limits: tuple[str, ...] = ()
    short: str = ""


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
    """

    id: str
    name: str
    needs: tuple[str, ...]
    helps: tuple[str, ...]
    reference: str
    evaluate: Callable[[Scene], Outcome]

    def of(self, scene: Scene) -> Outcome:
        """Apply the rule to a scene."""
        if not any(scene.mask(id) is not None for id in self.needs):
            were = "were" if len(self.needs) > 1 else "was"
            return Outcome("not assessable", limits=(f"{all_the(self.needs)} {were} not found in this scan",))
        return self.evaluate(scene)


CONTRAST_GIVEN = "contrast was given, and this rule holds only without it"
CONTRAST_UNKNOWN = "whether contrast was given could not be told, and this rule holds only without it"


def needs_no_contrast(scene: Scene) -> str:
    """Why a rule for scans without contrast does not hold; "" where it does."""
    from ..contrast import given

    answer = given(scene)
    return "" if answer is False else CONTRAST_UNKNOWN if answer is None else CONTRAST_GIVEN
