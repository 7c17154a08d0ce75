"""``Conversation``: words in, a stream of steps, masks and words out, with a memory for follow-up questions."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import Cancelled, MedVLError
from ..masks import Mask
from . import (
    choosing,
    contrast,
    guard,
    image_reading,
    modifiers,
    plausible,
    sentences,
    told_relations,
    told_scan,
    told_sums,
    views,
)
from .contract import (
    LISTED,
    POINTED,
    Answer,
    Done,
    Fact,
    Finder,
    Intent,
    MaskList,
    MaskRef,
    Piece,
    Reader,
    Request,
    Sentence,
    Step,
    Words,
)
from .facts import REGIONS
from .findings import FINDINGS
from .looking import look
from .mask_edits import MaskEditor
from .scene import Scene
from .vocabulary import EVERYTHING, listed
from .words import all_the

if TYPE_CHECKING:
    from ..report import Report

Parse = Callable[[str, Sequence[Sequence[Request]]], tuple[Request, ...]]
_DIRECT = frozenset({Intent.SEGMENT, Intent.MEASURE, Intent.COMPARE, Intent.PRESENCE, Intent.RELATION})
_SIZES = frozenset({"", "volume", "diameter", "extent"})
_BESIDES = ("aorta_parts", "weight")  # topics of requests for masks and measurements
_TOPICAL = frozenset({Intent.KNOWLEDGE, Intent.CHAT, Intent.REFUSE, Intent.UNKNOWN})


class Conversation:
    """A conversation about one CT.

    Attributes:
        finder: looks for structures.
        scene: what was found so far, and what is measured on it.
        report: the last report that was asked for here, None before.
    """

    def __init__(
        self,
        finder: Finder,
        parse: Parse | None = None,
        knowledge: Callable[[str], str] | None = None,
        listed: MaskList | None = None,
        reader: Reader | None = None,
    ) -> None:
        """Begin a conversation.

        Args:
            finder: looks for structures in the CT.
            parse: ``(text, requests of earlier turns) -> requests``; ``intent.parse`` if not given.
            knowledge: ``topic -> text``; ``knowledge.text`` if not given.
            listed: the list of masks, to change and remove them; without it the answer says where a person can.
            reader: reads the image for what measurements do not answer; None where a model has no such network.
        """
        self.finder = finder
        self.scene = Scene(finder.ct)
        self.report: Report | None = None
        self._parse = parse
        self._knowledge = knowledge
        self._listed = listed
        self._editor = MaskEditor(self.scene, finder, listed) if listed is not None else None
        self._reader = reader
        self._history: list[tuple[Request, ...]] = []
        self._shown: set[str] = set()

    @property
    def history(self) -> tuple[tuple[Request, ...], ...]:
        """Requests of each turn, oldest first; what was described is replaced by what was chosen."""
        return tuple(self._history)

    def clear(self) -> None:
        """Forget what was said. What was found stays known: finding it again would give the same."""
        self._history.clear()
        self._shown.clear()
        self.report = None
        if self._editor is not None:
            self._editor.clear()
        if self._reader is not None:
            self._reader.clear()

    def rewind(self, turns: int) -> None:
        """Forget what was said after the first ``turns`` turns, and take its edits of masks back; what was found stays.

        A turn is remembered as its answer ends, so one whose pieces were not taken to the end leaves nothing to forget.
        """
        del self._history[turns:]
        if self._editor is not None:
            self._editor.rewind(turns)

    def ask(self, text: str, cancel: threading.Event | None = None) -> Iterator[Piece]:
        """Answer one message.

        Args:
            text: what a person typed.
            cancel: set it to stop within one slice or word.

        Yields:
            Steps of what is looked for, masks as they are found, words, and ``Done`` at the end, always.
        """
        teller = _Teller(cancel)
        requests: list[Request] = []
        refusals: list[bool] = []
        stopped = False
        try:
            for request in self._possible(self._understand(text)):
                requests.append(request)
                try:
                    if request.intent is Intent.EDIT:
                        answered, told = yield from self._edit(request, requests[:-1], text, cancel, teller)
                    else:
                        answered, told = yield from self._answer(request, cancel, teller)
                except Cancelled:
                    raise
                except MedVLError as error:
                    answered, told = request, [Sentence(str(error), "program")]
                requests[-1] = answered
                refusals.append(_refused(answered, told, self.scene))
                told = [*told, sentences.left_out(request.left)] if request.left else told
                yield from teller.tell(told, self.scene)
            if self._reader is not None:
                yield from self._read(text, requests, teller, cancel)
        except Cancelled:
            stopped = True
        self._history.append(tuple(requests))
        if self._listed is not None:
            self._listed.clicked = None  # "it" is a mask that was clicked since the message before
        pointed = any(sentence.source == "model" and sentence.mask_ids for sentence in teller.told)
        refused = bool(refusals) and all(refusals) and not pointed
        yield Done(Answer(tuple(requests), tuple(teller.told), refused), stopped)

    def _read(
        self, text: str, requests: list[Request], teller: _Teller, cancel: threading.Event | None
    ) -> Iterator[Step | MaskRef | Words]:
        """The model's own reading, behind what was measured, where a request leaves something open."""
        if not any(image_reading.is_open(request, text) for request in requests):
            return
        first = len(teller.told)
        if any(request.intent is Intent.REPORT for request in requests):
            yield from self._reader.read_report(teller.told, cancel)
            if self.report is not None:
                self.report = self.report.with_reading(teller.told[first:])
        else:
            yield from self._reader.read(text, teller.told, cancel)

    # ---- understanding

    def _understand(self, text: str) -> tuple[Request, ...]:
        if self._parse is None:
            from .intent import parse

            self._parse = parse
        if self._editor is not None:
            handled = self._editor.with_handles(text)
            if handled != text:
                requests = self._parse(handled, self._history)
                if any(r.intent in (Intent.EDIT, Intent.REMOVE) for r in requests):
                    return requests
        return self._parse(text, self._history) or (Request(Intent.UNKNOWN),)

    def _possible(self, requests: tuple[Request, ...]) -> tuple[Request, ...]:
        """Without removing what has no mask: "forget the spleen, show the kidneys" is about the kidneys."""
        idle = [
            r for r in requests if r.intent is Intent.REMOVE and r.structures and not self.scene.masks(*r.structures)
        ]
        return tuple(r for r in requests if r not in idle) or requests

    def _text(self, topic: str) -> str:
        if self._knowledge is None:
            from .knowledge import text

            self._knowledge = text
        return self._knowledge(topic)

    # ---- one request

    def _answer(
        self, request: Request, cancel: threading.Event | None, teller: _Teller
    ) -> Iterator[Piece]:  # a generator that returns (request as understood on this scan, sentences)
        unlooked = any(self.scene.found(id) is None for id in request.structures)
        if request.intent is Intent.VIEW and request.attribute == "show" and unlooked:
            request = replace(request, intent=Intent.SEGMENT, attribute="")  # nothing to show again: made first
        direct = request.intent in _DIRECT and not request.choose
        announce = request.structures if direct or request.intent is Intent.VIEW else ()
        for piece in look(self.scene, self.finder, self._needs(request), cancel, announce):
            if not isinstance(piece, MaskRef) or teller.is_new(piece):
                yield piece
        if request.intent is Intent.REPORT:
            return request, (yield from self._write_report(cancel))
        if request.intent is Intent.VIEW and request.choose and len(request.structures) > 1:
            one = choosing.choose(self.scene, request)
            request = replace(request, structures=(one,), choose="") if one else request
        if request.intent is Intent.VIEW:
            change, told = views.change(self.scene, request)
            if change is not None:
                yield change
            return request, told + ([sentences.unknown(request)] if request.unknown else [])
        told, structures = [], request.structures
        if request.choose and len(structures) > 1:
            chosen = choosing.choose(self.scene, request)
            if choosing.undecidable(self.scene, request):
                return replace(request, structures=()), [choosing.chosen(self.scene, request, "")]
            if chosen is not None:
                which = choosing.chosen(self.scene, request, chosen)
                told += [which] if which else []
                told += sentences.missing(self.scene, structures)
                structures = (chosen,)
        elif request.referring and request.intent in _DIRECT:
            which = choosing.chosen(self.scene, request, "")
            told += [which] if which and len(structures) == 1 else []
        told += [modifiers.styled(said, request) for said in self._tell(request, structures)]
        strange = tuple(word for word in request.unknown if not LISTED.fullmatch(word))
        if strange:
            told.append(sentences.unknown(replace(request, unknown=strange)))
        if request.topic in _BESIDES and request.intent in _DIRECT:
            told.append(Sentence(self._text(request.topic), "knowledge"))
        if request.intent in _DIRECT:
            told += plausible.rough(self.scene, structures)
        return replace(request, structures=structures), told

    def _needs(self, request: Request) -> tuple[str, ...]:
        """Structures to look for."""
        known = self.finder.known
        if request.intent is Intent.FINDING and request.finding in FINDINGS:
            rule = FINDINGS[request.finding]
            return rule.needs + tuple(id for id in rule.helps if id in known)
        if request.intent is Intent.SCAN:
            if request.attribute == "contrast":
                return tuple(id for id in contrast.STRUCTURES if id in known)
            if request.attribute == "coverage":
                return tuple(id for ids in REGIONS.values() for id in ids if id in known)
        every = tuple(id for id in EVERYTHING if id in known)
        if request.intent is Intent.LIST:
            return () if request.attribute == "made" else listed(request.attribute, every)
        if request.intent is Intent.RELATION and request.relation in ("nearest", "between") and request.structures:
            return request.structures + every
        if request.attribute == "diameter" and "aorta" in request.structures and "heart" in known:
            return (*request.structures, "heart")  # where the aorta lies against the heart its width is not told
        looks = request.intent is Intent.VIEW and request.attribute in ("centre", "only", "colour", "slice")
        return request.structures + request.whole if looks or request.intent in _DIRECT else ()

    def _tell(self, request: Request, structures: tuple[str, ...]) -> list[Sentence]:
        scene, intent = self.scene, request.intent
        if intent in _TOPICAL:
            if intent is Intent.UNKNOWN and request.unknown:
                return []
            if intent is Intent.UNKNOWN and self._reader is not None:
                return [Sentence(image_reading.FOLLOWS, "knowledge")]
            told = [Sentence(self._text(request.topic), "knowledge")]
            return told + (told_scan.published(structures) if request.topic == "reference_ranges" else [])
        if intent is Intent.SCAN:
            return told_scan.scan(scene, request.attribute)
        if intent is Intent.FINDING and request.finding in FINDINGS:
            return told_scan.finding(scene, request.finding)
        if intent is Intent.LIST:
            return told_scan.listed(scene, request.attribute, self.finder.known, request.topic)
        if intent is Intent.REMOVE:
            return self._take_out(request, structures)
        if not structures:
            return [] if request.unknown else [Sentence(self._text("antecedent"), "knowledge")]
        if intent is Intent.RELATION and request.unknown and len(structures) < 2:
            return []  # that the other one is not known is said next
        if intent is Intent.SEGMENT:
            return sentences.segmented(scene, structures)
        if intent is Intent.MEASURE:
            doubts = [plausible.doubt(scene, id) for id in structures if request.attribute in _SIZES]
            return [*sentences.measured(scene, request, structures), *filter(None, doubts)]
        if intent is Intent.PRESENCE:
            return sentences.present(scene, structures, request.claim == "absent")
        if intent is Intent.COMPARE and request.attribute == "share":
            return told_sums.shared(scene, request)
        if intent is Intent.COMPARE and request.whole:
            return told_sums.summed(scene, request)
        if intent is Intent.COMPARE:
            return told_relations.compared(scene, replace(request, structures=structures))
        if intent is Intent.RELATION:
            return told_relations.related(scene, request, self._needs(request))
        return [Sentence(self._text(""), "knowledge")]

    def _edit(
        self, request: Request, earlier: list[Request], text: str, cancel: threading.Event | None, teller: _Teller
    ) -> Iterator[Piece]:  # as ``_answer``
        """Masks changed by words: what is named is looked for first."""
        if self._editor is None:
            return replace(request, intent=Intent.CHAT, topic="edit"), [Sentence(self._text("edit"), "knowledge")]
        if request.attribute not in ("undo", "redo"):
            yield from look(self.scene, self.finder, request.structures, cancel)
        if request.choose and len(request.structures) > 1:
            one = choosing.choose(self.scene, request)
            request = replace(request, structures=(one,), choose="") if one else request
        if request.attribute == "rename":
            from .intent import SPELLER

            handled = self._editor.with_handles(text)
            request = replace(request, topic=self._editor.spelt(handled, request.topic, SPELLER.mend))
        before = earlier or [r for turn in self._history[-1:] for r in turn]
        after_edit = bool(before) and before[-1].intent is Intent.EDIT
        edited = self._editor.apply(request, len(self._history), after_edit)
        for mask in edited.masks:
            if teller.is_new(MaskRef(mask)):
                yield MaskRef(mask)
        if edited.view is not None:
            yield edited.view
        return edited.request, edited.told

    def _take_out(self, request: Request, structures: tuple[str, ...]) -> list[Sentence]:
        """Remove masks; without names, all that this conversation made."""
        wanted = [id for id in (structures or self.scene.present) if self.scene.mask(id) is not None]
        if self._listed is None:
            return [
                sentences.say(None, "masks are removed in the list of masks, each by its own button", source="program")
            ]
        handles = [self._editor.named(word) for word in request.unknown if LISTED.fullmatch(word)]
        own = [mask for mask in handles if mask is not None]
        if request.referring == POINTED and self._editor.last:  # "delete it" after a merge: what was merged
            own = [self._listed.masks[id] for id in self._editor.last]
        if own:
            return [self._take_out_of_list(mask) for mask in own]
        if request.unknown and not structures:
            return []  # that it is not known is said next, and nothing else is taken
        if not wanted:
            what = f"of {all_the(structures)} " if structures else ""
            return [sentences.say(None, f"there is no mask {what}to remove", source="program")]
        for id in wanted:
            self._listed.remove(self.scene.mask(id).id)
            self.scene.forget(id)
        return [sentences.say(None, f"I removed {all_the(wanted)}", source="program")]

    def _take_out_of_list(self, mask: Mask) -> Sentence:
        """Remove a mask that has only its own name."""
        for id in self.scene.present:
            if self.scene.mask(id).id == mask.id:
                self.scene.forget(id)
        self._listed.remove(mask.id)
        said = Fact("said", mask.name, source="knowledge")
        return sentences.say(None, f'I removed "{mask.name}"', said, source="program")

    def _write_report(self, cancel: threading.Event | None) -> Iterator[Step | MaskRef]:
        from ..report import Report, build_report

        for piece in build_report(self.finder, cancel=cancel, scene=self.scene):
            if isinstance(piece, Report):
                self.report = piece
            else:
                yield piece
        return list(self.report.sentences)


class _Teller:
    """Streams sentences word by word, each checked, none twice; announces each mask once."""

    def __init__(self, cancel: threading.Event | None) -> None:
        self.told: list[Sentence] = []
        self._cancel = cancel
        self._masks: dict[str, object] = {}

    def is_new(self, ref: MaskRef) -> bool:
        """Whether a mask was not announced yet."""
        new = self._masks.get(ref.mask.id) is not ref.mask
        self._masks[ref.mask.id] = ref.mask
        return new

    def tell(self, new: list[Sentence], scene: Scene) -> Iterator[Words | MaskRef]:
        by_id = {mask.id: mask for mask in scene.masks(*scene.present)}
        for sentence in map(guard.ensure, new):
            if any(_repeats(sentence, earlier) for earlier in self.told):
                continue
            for id in sentence.mask_ids:
                if id in by_id and self.is_new(MaskRef(by_id[id])):
                    yield MaskRef(by_id[id])
            number = len(self.told)
            self.told.append(replace(sentence, text=""))
            for word in re.findall(r"\s*\S+", sentence.text):
                if self._cancel is not None and self._cancel.is_set():
                    if not self.told[-1].text:
                        self.told.pop()
                    raise Cancelled("Stopped while answering.")
                shown = word if self.told[-1].text or number == 0 else f" {word.lstrip()}"
                self.told[-1] = replace(self.told[-1], text=self.told[-1].text + word)
                yield Words(shown, number, sentence.source, sentence.mask_ids)


def _repeats(sentence: Sentence, earlier: Sentence) -> bool:
    """Whether a sentence says what an earlier one of the same answer said: the same words, or the same volume again."""
    volume = len(sentence.facts) == 1 and sentence.facts[0].key == "volume_ml"
    return sentence.text == earlier.text or (volume and sentence.facts[0] in earlier.facts)


def _refused(request: Request, told: list[Sentence], scene: Scene) -> bool:
    """Whether nothing was segmented or measured for a request that wanted it."""
    if request.intent in (Intent.REFUSE, Intent.UNKNOWN):
        return True
    if request.intent in (Intent.SEGMENT, Intent.MEASURE, Intent.COMPARE, Intent.RELATION):
        return not any(scene.mask(id) is not None for id in request.structures)
    if request.intent is Intent.PRESENCE:
        return not request.structures
    if request.intent is Intent.FINDING and request.finding in FINDINGS:
        return not scene.masks(*FINDINGS[request.finding].needs)
    return False
