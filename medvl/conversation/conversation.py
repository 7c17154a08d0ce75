"""``Conversation``: words in, a stream of steps, masks and words out, with a memory for follow-up questions.

Longer than other files: the way of one message, from its plan to the last word, is one class that is read from above.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace

from ..ct.mask_list import MaskList
from ..ct.masks import Mask
from ..errors import Cancelled, MedVLError
from ..language.calls import (
    IT,
    Between,
    Call,
    Changes,
    Chat,
    Clarify,
    Compare,
    Comparing,
    Edit,
    Finding,
    ListStructures,
    Lookup,
    Measure,
    Measuring,
    Presence,
    Probe,
    Rank,
    ReadImage,
    Refuse,
    Relating,
    Remove,
    Report,
    Scan,
    Segment,
    Share,
    Show,
    Total,
    changed,
    turned,
)
from ..language.parse import SPELLER
from ..structures.found import Finder, Found
from ..tools.executor import Executor, Result
from ..tools.fact import Fact
from ..tools.findings import FINDINGS
from ..tools.looking import look
from ..tools.pieces import MaskRef, Step, View
from ..tools.scene import Scene
from ..vocabulary.names import COLOURS
from ..vocabulary.spoken import all_the, listing
from . import beside, image_reading, planning
from .contract import Answer, Done, ImageReader, Piece, Sentence, WrittenReport
from .mask_edits import MaskEditor
from .planners.rules import RulesPlanner
from .planning import Planner
from .references import resolved
from .state import State, Turn, asked_back, so_far
from .teller import Teller
from .writing import changes as told_changes
from .writing import choosing, knowledge, plausible, sentences, views
from .writing import looks as told_looks
from .writing import own as told_own
from .writing import relations as told_relations
from .writing import scan as told_scan
from .writing import sums as told_sums
from .writing.against import held_against

_DIRECT = (Segment, Measuring, Comparing, Presence, Relating)
_SIZES = frozenset({"volume", "weight", "diameter", "extent"})


class Conversation:
    """A conversation about one CT.

    Attributes:
        scene: what was found so far, and what is measured on it.
        report: the last report that was asked for here, None before.
        state: what was told so far, with its facts, and where a person points.
    """

    def __init__(
        self,
        finder: Finder,
        planners: Sequence[Planner] = (),
        knowledge: Callable[[str], str] = knowledge.text,
        listed: MaskList | None = None,
        reader: ImageReader | None = None,
        write_report: Callable[..., Iterator[Step | MaskRef | WrittenReport]] | None = None,
    ) -> None:
        """Begin a conversation.

        Args:
            finder: looks for structures in the CT.
            planners: asked before the rules, in this order, each where the one before has no plan.
            knowledge: ``topic -> text``; ``knowledge.text`` if not given.
            listed: the list of masks, to change and remove them; without it the answer says where a person can.
            reader: reads the image for what measurements do not answer; None where a model has no such network.
            write_report: ``(cancel=, scene=) -> steps and masks, the report at the end``; None: it says where one is.
        """
        self.scene = Scene(finder.ct)
        self.report: WrittenReport | None = None
        self._text = knowledge
        self._listed = listed
        self._editor = MaskEditor(self.scene, finder, listed) if listed is not None else None
        self._reader = reader
        self._write = write_report
        self.state = State(masks=listed if listed is not None else {})
        self._executor = Executor(self.scene, finder, listed)
        handles = self._editor.with_handles if self._editor is not None else None
        self._planners = (*planners, RulesPlanner(with_handles=handles))

    @property
    def finder(self) -> Finder:
        """Looks for structures."""
        return self._executor.finder

    @finder.setter
    def finder(self, finder: Finder) -> None:
        self._executor.finder = finder

    @property
    def offered(self) -> tuple[Mask, ...]:
        """Masks of spots that looks have seen so far."""
        return self._executor.offered

    @property
    def history(self) -> tuple[tuple[Call, ...], ...]:
        """See ``State.history``."""
        return self.state.history

    def clear(self) -> None:
        """Forget what was said. What was found stays known: finding it again would give the same."""
        self.state.turns.clear()
        self.report = None
        if self._editor is not None:
            self._editor.clear()
        if self._reader is not None:
            self._reader.clear()

    def recall(self, turns: Sequence[Turn], found: Iterable[Found], report: WrittenReport | None) -> None:
        """Go on from a saved case."""
        self.state.turns[:] = turns
        for one in found:
            self.scene.put(one)
        self.report = report

    def rewind(self, turns: int) -> None:
        """Forget what was said after the first ``turns`` turns, with its edits of masks; what was found stays."""
        del self.state.turns[turns:]
        if self._editor is not None:
            self._editor.rewind(turns)

    def ask(
        self,
        text: str,
        cancel: threading.Event | None = None,
        at: tuple[int, int, int] | None = None,
        clicked: str | None = None,
    ) -> Iterator[Piece]:
        """Answer one message.

        Args:
            text: what a person typed.
            cancel: set it to stop within one slice or word.
            at: the voxel of the crosshair, canonical, from 0, where it is known.
            clicked: id of the mask that was clicked since the last message.

        Yields:
            Steps of what is looked for, masks as they are found, words, and ``Done`` at the end, always.
        """
        teller = Teller(cancel, self._listed)
        turn = Turn(text)
        calls: list[Call] = []
        refusals: list[bool] = []
        stopped = False
        self._point(at, clicked)
        try:
            planned = planning.possible((yield from self._plan(text, cancel)), self.scene)
            read, tried = (), self._reader is not None and image_reading.asks(text, planned)
            if tried:
                read = yield from beside.read_first(self._reader, text, planned, teller, self.scene, cancel)
                planned = image_reading.measurable(planned, text) if read else planned
            for call in planned:
                calls.append(call)
                try:
                    now = so_far(self.state, turn, calls[:-1], teller.facts)
                    call = resolved(call, now)
                    if IT in call.of and any(isinstance(c, Probe | Finding) for c in calls[:-1]):
                        calls.pop()  # nothing was seen that more could be asked of
                        continue
                    if isinstance(call, Edit):
                        answered, told = yield from self._edit(call, calls[:-1], text, cancel, teller)
                    else:
                        answered, told = yield from self._answer(call, cancel, teller, turn)
                except Cancelled:
                    raise
                except MedVLError as error:
                    answered, told = call, [image_reading.failed(error)]
                if tried and (answered.unanswered or isinstance(answered, ReadImage)):
                    told = []  # its reading stands above, or why there is none
                calls[-1] = answered
                refusals.append(_refused(answered, self.scene))
                turn.question = turn.question or asked_back(answered, text)
                yield from teller.tell(told, self.scene)
            if read:
                yield from self._held_against(read, calls, teller, turn, cancel)
            elif self._reader is not None and any(isinstance(call, Report) for call in calls):
                read = yield from beside.read(self._reader.read_report, teller, self.scene, cancel)
                self.report = self.report and self.report.with_reading(read)
        except Cancelled:
            stopped = True
        self._remember(turn, calls, teller)
        refused = bool(refusals) and all(refusals) and not any(said.source == "model" for said in teller.told)
        yield Done(Answer(tuple(calls), tuple(teller.told), refused), stopped)

    def run(self, call: Call, cancel: threading.Event | None = None) -> Result:
        """Run one call with references to what was told; nothing is said and nothing is remembered of it."""
        self._point(self.state.crosshair, None)
        return self._executor.run(resolved(call, self.state), cancel)

    def _point(self, at: tuple[int, int, int] | None, clicked: str | None) -> None:
        """Where a person points while asking."""
        last = self._listed.clicked if self._listed is not None else None
        self.state.clicked = clicked if clicked in self.state.masks else last if last in self.state.masks else None
        self.state.crosshair = self._executor.crosshair = at
        self._executor.clicked = self.state.masks.get(self.state.clicked)

    def _plan(self, text: str, cancel: threading.Event | None) -> Generator[Step, None, tuple[Call, ...]]:
        begin, label = time.perf_counter(), "Understand the message"
        if any(getattr(planner, "computes", False) for planner in self._planners):
            yield Step(label)
        calls, by, passed = planning.plan(self._planners, text, self.state, cancel, self._reader is not None)
        if len(self._planners) > 1:
            without = f"; {listing(passed)} had no plan" if passed else ""
            yield Step(label, seconds=time.perf_counter() - begin, share=1.0, outcome=f"by {by or 'nobody'}{without}")
        return calls or (Refuse(),)

    def _remember(self, turn: Turn, calls: list[Call], teller: Teller) -> None:
        """The turn with what it told; what stands in the state is what was said, not what might have been."""
        turn.calls = tuple(calls)
        turn.facts = self.state.numbered([fact for fact in teller.facts if fact.key != "rule"])
        turn.masks = tuple(dict.fromkeys((*(id for told in teller.told for id in told.mask_ids), *teller.announced)))
        turn.told = told_scan.with_values(teller.told)
        self.state.turns.append(turn)
        if self._listed is not None:
            self._listed.clicked = None  # "it" is a mask that was clicked since the message before

    # ---- reading

    def _held_against(
        self,
        read: Sequence[Sentence],
        calls: Sequence[Call],
        teller: Teller,
        turn: Turn,
        cancel: threading.Event | None,
    ) -> Iterator[Piece]:
        """What tools give for what the reading spoke of, and, behind it, where the two differ.

        Only of structures that were asked about or looked for already: a reading is no order to segment the rest.
        """
        asked, done = {id for call in calls for id in call.structures}, {getattr(call, "id", "") for call in calls}
        checked = []
        for claim in beside.claims(read):
            needed = self._executor.needs(claim.call) or claim.call.structures
            if not asked & set(claim.call.structures) and any(self.scene.found(id) is None for id in needed):
                continue
            if isinstance(claim.call, Finding) and claim.call.id not in done:
                _, told = yield from self._answer(claim.call, cancel, teller, turn)
                yield from teller.tell(told, self.scene)
            else:
                yield from look(self.scene, self.finder, claim.call.structures, cancel)
            checked.append(claim)
        differences = [beside.difference(claim, self.scene) for claim in checked]
        yield from teller.tell([one for one in differences if one is not None], self.scene)

    # ---- one call

    def _answer(
        self, call: Call, cancel: threading.Event | None, teller: Teller, turn: Turn
    ) -> Iterator[Piece]:  # a generator that returns (call as understood on this scan, sentences)
        unlooked = any(self.scene.found(id) is None for id in call.structures)
        if isinstance(call, Show) and call.action == "show" and unlooked:
            call = turned(call, Segment)  # nothing to show again: made first
        result = yield from teller.new(self._executor.stream(call, cancel))
        turn.spots = (*turn.spots, *(mask.id for seen in result.seen for mask in seen.masks))
        if isinstance(call, Changes):
            return call, self._with_unknown(call, (yield from told_changes.answer(self.scene, result)))
        if isinstance(call, Probe) or (result.outcome is not None and result.outcome.look is not None):
            return call, self._seen(call, result)
        own = [mask for mask in result.masks if mask.id in call.of and mask.id not in call.structures]
        alike = bool(call.structures) and told_own.alike(call)
        if alike or (own and isinstance(call, Measuring | Comparing | Relating | Segment | Show)):
            return (yield from self._of_masks(call, own, result, turn))
        if isinstance(call, Show) and (fact := self.state.facts.get(next(iter(call.of), ""))) and fact.slice:
            turn.view = View("slice", value=f"2 {fact.slice - 1}")
            yield turn.view
            return call, [told_looks.gone_to(fact)]
        if isinstance(call, Measuring) and result.seen and call.part:
            return call, self._with_unknown(call, told_looks.part_told(result.seen[0], call.part, teller.facts))
        if isinstance(call, Report):
            told = yield from self._write_report(cancel)
            spots = {id for said in told for id in said.mask_ids if id in self._executor.offered_ids}
            turn.spots = tuple(
                sorted(spots, key=lambda id: -self.state.masks[id].voxels if id in self.state.masks else 0)
            )
            return call, told
        if isinstance(call, Show):
            call = self._decided(call)
            change, told = views.change(self.scene, call)
            if change is not None:
                turn.view = change
                yield change
            return call, told + ([sentences.unknown(call.unknown, call.nearest)] if call.unknown else [])
        told, structures = [], call.structures
        if call.choose and len(structures) > 1:
            chosen = choosing.choose(self.scene, call)
            if choosing.undecidable(self.scene, call):
                return changed(call, of=()), [choosing.chosen(self.scene, call, "")]
            if chosen is not None:
                which = choosing.chosen(self.scene, call, chosen)
                told += [which] if which else []
                told += sentences.missing(self.scene, structures)
                structures = (chosen,)
        elif call.description and isinstance(call, _DIRECT):
            which = choosing.chosen(self.scene, call, "")
            told += [which] if which and len(structures) == 1 else []
        told += [sentences.styled(said, call) for said in self._tell(call, structures)]
        if call.unknown:
            told.append(sentences.not_told_apart(call) or sentences.unknown(call.unknown, call.nearest))
        told += [told_looks.brief(seen) for seen in result.seen]  # what a size is to be held against
        told += told_looks.sources([seen.look for seen in result.seen])
        if call.attribute == "weight" or call.part:
            told.append(Sentence(self._text("weight" if call.attribute == "weight" else "aorta_parts"), "knowledge"))
        if isinstance(call, _DIRECT):
            told += plausible.rough(self.scene, structures)
        if structures != call.structures:
            call = changed(call, of=structures)
        return call, told

    def _seen(self, call: Call, result: Result) -> list[Sentence]:
        """What looks gave, why there is nothing, and what was named besides and is not known."""
        if result.note:
            return [Sentence(f"{result.note[:1].upper()}{result.note[1:]}.", "scan", (), ())]
        told = told_looks.told(result.seen)
        if result.outcome is not None and result.outcome.meaning:
            meaning = sentences.say(self.scene, result.outcome.meaning, *result.outcome.facts)
            told.insert(1 if told else 0, meaning)
        return self._with_unknown(call, told)

    @staticmethod
    def _with_unknown(call: Call, told: list[Sentence]) -> list[Sentence]:
        return told + ([sentences.unknown(call.unknown, call.nearest)] if call.unknown else [])

    def _of_masks(
        self, call: Call, own: list[Mask], result: Result, turn: Turn
    ) -> Generator[View, None, tuple[Call, list[Sentence]]]:
        """Masks that are no structure's: spots, and what a person drew."""
        ordered = isinstance(call, Rank | Compare) and len(own) > 1
        if ordered:
            own = told_own.in_order(own, result.facts, call.attribute, call.which or call.claim)
        turn.spots = tuple(mask.id for mask in own) or turn.spots  # "it" is the first of them
        if isinstance(call, Show):
            action = call.action if call.action in ("hide", "show", "only", "centre", "colour") else "centre"
            turn.view = View(action, turn.spots, COLOURS.get(call.colour, ""))
            yield turn.view
            return call, [views.of_masks(self.scene.ct, action, own, call.colour)]
        told = told_own.told(self.scene, call, own, result.facts)
        there = [id for id in call.structures if self.scene.mask(id) is not None]
        if there and isinstance(call, Measuring) and not told_own.alike(call):
            told += self._tell_measured(call, there)
        return call, self._with_unknown(call, told)

    def _decided(self, call: Call) -> Call:
        """A call for one of several as one for the one that the scan decides on."""
        if not call.choose or len(call.structures) < 2:
            return call
        one = choosing.choose(self.scene, call)
        return changed(call, of=(one,), choose="") if one else call

    def _tell(self, call: Call, structures: tuple[str, ...]) -> list[Sentence]:
        """What to say of a call, all it needs having been looked for."""
        if isinstance(call, _DIRECT):
            if not structures:
                return [] if call.unknown else self._tell_topic(Clarify(), ())
            if isinstance(call, Relating) and call.unknown and (isinstance(call, Between) or len(structures) < 2):
                return []  # that the other one is not known is said next
        for kind in type(call).__mro__:
            if kind in _TELLS:
                return _TELLS[kind](self, call, structures)
        return [Sentence(self._text(""), "knowledge")]

    def _tell_topic(self, call: Call, structures: tuple[str, ...]) -> list[Sentence]:
        if call.unanswered and call.unknown:
            return []
        if isinstance(call, Refuse) and call.words:
            return [sentences.left_out(call.words)]
        if call.unanswered and self._reader is not None:
            return [Sentence(image_reading.FOLLOWS, "knowledge")]
        if isinstance(call, Clarify) and call.options:
            return [Sentence(f"Which do you mean: {told_looks.parts_of(call.options)}?", "program")]
        if isinstance(call, Clarify):
            return [told_looks.antecedent(self.state.last.calls, self._text("antecedent"))]
        topic = call.reason if isinstance(call, Refuse) else call.topic
        told = [Sentence(self._text(topic), "knowledge")]
        return told + (told_scan.published(structures) if topic == "reference_ranges" else [])

    def _tell_measured(self, call: Measuring, structures: tuple[str, ...]) -> list[Sentence]:
        if isinstance(call, Measure) and (call.than, call.low_hu, call.high_hu) != (None, None, None):
            return held_against(self.scene, call, structures)
        doubts = [plausible.doubt(self.scene, id) for id in structures if call.attribute in _SIZES]
        return [*sentences.measured(self.scene, call, structures), *filter(None, doubts)]

    def _tell_compared(self, call: Compare | Rank, structures: tuple[str, ...]) -> list[Sentence]:
        if isinstance(call, Compare) and call.against:
            return told_sums.summed(self.scene, call)
        return told_relations.compared(self.scene, call)

    def _edit(
        self, call: Edit, earlier: list[Call], text: str, cancel: threading.Event | None, teller: Teller
    ) -> Iterator[Piece]:  # as ``_answer``
        """Masks changed by words: what is named is looked for first."""
        if self._editor is None:
            return Chat("edit"), [Sentence(self._text("edit"), "knowledge")]
        if call.op not in ("undo", "redo"):
            yield from look(self.scene, self.finder, call.structures, cancel)
        call = self._decided(call)
        if call.op == "rename":
            handled = self._editor.with_handles(text)
            call = replace(call, name=self._editor.spelt(handled, call.name, SPELLER.mend))
        before = earlier or list(self.state.last.calls)
        after_edit = bool(before) and isinstance(before[-1], Edit)
        edited = self._editor.apply(call, len(self.state.turns), after_edit)
        for mask in edited.masks:
            if teller.is_new(MaskRef(mask)):
                yield MaskRef(mask)
        if edited.view is not None:
            yield edited.view
        return edited.call, edited.told

    def _take_out(self, call: Remove, structures: tuple[str, ...]) -> list[Sentence]:
        """Remove masks; without names, all that this conversation made."""
        wanted = [id for id in (structures or self.scene.present) if self.scene.mask(id) is not None]
        if self._listed is None:
            return [
                sentences.say(None, "masks are removed in the list of masks, each by its own button", source="program")
            ]
        own = [self._listed[id] for id in call.of if id in self._listed]
        if IT in call.of and self._editor.last:  # "delete it" after a merge: what was merged
            own = [self._listed[id] for id in self._editor.last]
        if own:
            return [self._take_out_of_list(mask) for mask in own]
        if call.unknown and not structures:
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
        if self._write is None:
            return [sentences.say(None, "reports are written in the report panel", source="program")]
        for piece in self._write(cancel=cancel, scene=self.scene):
            if isinstance(piece, Step | MaskRef):
                yield piece
            else:
                self.report = piece
        return list(self.report.sentences)


_TELLS: dict[type[Call], Callable[[Conversation, Call, tuple[str, ...]], list[Sentence]]] = {
    Segment: lambda talk, call, ids: sentences.segmented(talk.scene, ids),
    Total: lambda talk, call, ids: told_sums.left(talk.scene, call) if call.against else talk._tell_measured(call, ids),
    Measuring: Conversation._tell_measured,
    Presence: lambda talk, call, ids: sentences.present(talk.scene, ids, call.claim == "absent"),
    Share: lambda talk, call, ids: told_sums.shared(talk.scene, call),
    Comparing: Conversation._tell_compared,
    Relating: lambda talk, call, ids: told_relations.related(talk.scene, call, talk._executor.needs(call)),
    Finding: lambda talk, call, ids: told_scan.finding(talk.scene, call.id),
    Scan: lambda talk, call, ids: told_scan.scan(talk.scene, call.what),
    ListStructures: lambda talk, call, ids: (
        told_scan.recap([turn.told for turn in talk.state.turns], call.number)
        if call.which == "told"
        else told_scan.listed(talk.scene, call, talk.finder.known)
    ),
    Remove: Conversation._take_out,
    ReadImage: lambda talk, call, ids: [Sentence(image_reading.lead(talk._reader), "program")],
    **dict.fromkeys((Lookup, Chat, Clarify, Refuse), Conversation._tell_topic),
}
"""What to say of each kind of call."""


def _refused(call: Call, scene: Scene) -> bool:
    """Whether nothing was segmented or measured for a call that wanted it."""
    if isinstance(call, Refuse | Clarify | ReadImage):
        return True
    if isinstance(call, Presence):
        return not call.structures
    if isinstance(call, _DIRECT):
        return not any(scene.mask(id) is not None for id in call.structures)
    return isinstance(call, Finding) and not scene.masks(*FINDINGS[call.id].needs)
