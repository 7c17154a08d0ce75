"""An object that was stopped while it was followed through the slices is followed onward: "go on"."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Generator, Iterator

from ..ct.mask_list import MaskList
from ..ct.masks import Mask
from ..ct.volume import CTVolume
from ..errors import Cancelled
from ..language.normalise import words
from ..prompting.prompted_objects import SegmentUpdate
from ..tools.fact import Fact
from ..tools.pieces import MaskRef, Step
from ..vocabulary.numbers import show
from .contract import Answer, Done, Piece, Sentence
from .conversation import Conversation
from .state import Turn
from .teller import Teller

Follow = Callable[[str, threading.Event], Iterator[SegmentUpdate]]

_POLITE = "(please|ok|okay|yes|and|now|then|so|just)"
_GO = re.compile(
    rf"({_POLITE} )*(go (on|ahead)|carry on|keep (on )?going|continue|proceed|resume|finish)"
    "( (with|following|tracking|segmenting|propagating|the|it|that|this|on|to|end|mask|object|structure|segmentation|"
    "propagation|where|you|stopped|from|there|please|now))*"
)
_YES = re.compile("(yes|yeah|yep|sure|ok|okay|do|please|it|so)( (yes|please|do|it|so|sure))*")


def wanted(text: str, listed: MaskList, asked: bool) -> str | None:
    """The object that a message wants to be followed on; None where it wants something else.

    Args:
        text: the message.
        listed: the list of masks.
        asked: the last answer asked something else, so a bare "yes" is about that.
    """
    stopped = [mask for mask in listed.values() if mask.stopped]
    if not stopped:
        return None
    said = " ".join(word for word in words(text) if word.isalnum())
    named = None
    for mask in stopped:
        name = " ".join(word for word in words(mask.name) if word.isalnum())
        if name and re.search(rf"\b{re.escape(name)}\b", said):
            named, said = mask, " ".join(re.sub(rf"\b{re.escape(name)}\b", " ", said).split())
            break
    if not (_GO.fullmatch(said) or (not asked and _YES.fullmatch(said))):
        return None
    pointed = next((mask for mask in stopped if mask.id == listed.clicked), None)
    return (named or pointed or stopped[-1]).id


def answer(
    mask_id: str,
    conversation: Conversation,
    listed: MaskList,
    follow: Follow,
    text: str,
    cancel: threading.Event | None,
) -> Iterator[Piece]:
    """Follow an object on and tell it, as ``Conversation.ask`` tells an answer; the turn is remembered there.

    Args:
        mask_id: of the object.
        conversation: that the message is a part of.
        listed: the list of masks.
        follow: goes on with the object of an id.
        text: the message.
        cancel: set it to stop again; what is done stays.
    """
    scene, teller, stopped = conversation.scene, Teller(cancel, listed), False
    try:
        told = yield from teller.new(_followed(listed[mask_id], scene.ct, follow, cancel))
        yield from teller.tell(told, scene)
    except Cancelled:
        stopped = True
    conversation.state.turns.append(Turn(text, masks=(mask_id,)))
    yield Done(Answer((), tuple(teller.told)), stopped)


def _followed(
    mask: Mask, ct: CTVolume, follow: Follow, cancel: threading.Event | None
) -> Generator[Step | MaskRef, None, list[Sentence]]:
    """Follow it, as a step with its share; returns what to say."""
    label, begin, update = f"Follow {mask.name} on through the slices", time.perf_counter(), None
    yield Step(label)
    for update in follow(mask.id, cancel or threading.Event()):
        yield Step(label, share=min(1.0, update.slices_done / max(update.slices_expected, 1)))
    now = update.mask
    before, after = (
        Fact(key, one.voxels * ct.voxel_volume_ml, "mL")
        for key, one in (("volume_before_ml", mask), ("volume_ml", now))
    )
    slices = f"{update.slices_done} slice{'s' * (update.slices_done != 1)}"
    yield Step(label, seconds=time.perf_counter() - begin, share=1.0, outcome=slices)
    yield MaskRef(now)
    facts = [Fact("name", now.name, source="program"), Fact("limits", mask.where_stopped, source="program")]
    old, new = show(before.value, "mL"), show(after.value, "mL")
    size = f"it stays at {new}" if old == new else f"{old.removesuffix(' mL')} to {new}"
    text = f'"{now.name}" was followed on from where it was {mask.where_stopped}: {size}.'
    if now.stopped:
        text = f"{text} It was {now.where_stopped} again."
        facts.append(Fact("limits", now.where_stopped, source="program"))
    return [Sentence(text, "measured", (now.id,), (before, after, *facts))]
