"""``python -m medvl.training.talk.train``: teaches a sentence encoder to plan, on messages with their calls.

    python -m medvl.training.talk.train --encoder all-MiniLM-L6-v2 --output FOLDER [--minutes 60]

The encoder is a folder of all-MiniLM-L6-v2 as its publishers lay it out. What is learned from is the corpus
(``corpus.py``): messages made of the core, and those that people wrote out. About one writer in eight is kept out, for
choosing weights and thresholds (``left_out``). Files of ``HELD`` are never read here.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, islice, pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import BertConfig, BertModel

from ...language.calls import TOOLS, Call
from ...language.encoding import HEADS, JOINTS, ROLES, TAGS, Labels, Prepared, labels, prepare
from ...language.foreign import english, language
from ...language.normalise import words
from ...language.parse import SPELLER
from ...networks.message_encoder import MessageEncoder, Pieces, Said, WordPieces
from ...vocabulary.names import STRUCTURES, name
from .corpus import HELD, Example, composed, generated, left_out, rough, written

IGNORED = -100
BATCH = 32
TOOL_NAMES = tuple(TOOLS)
OF_ANY = frozenset({"segment", "measure", "total", "compare", "rank", "share", "relate", "neighbours", "between",
                    "presence", "show", "edit", "remove"})  # fmt: skip
"""Tools that are asked for in the same words whatever the structure; a finding or a look often depends on it."""
MOST_CUTS = 200  # ways to cut one message that are tried


@dataclass(frozen=True)
class Lesson:
    """A message, what to say of it, and where further calls begin (indices of its words; None: not known)."""

    prepared: Prepared
    labels: Labels | None
    starts: tuple[int, ...] | None


def lessons(examples: Sequence[Example]) -> list[Lesson]:
    """What is learned from each message: of several calls where each begins, and each call in view of the others."""
    found: list[Lesson | None] = []
    for example in examples:
        said = SPELLER.mend(words(english(example.text)))
        if not said:
            continue
        if len(example.calls) == 1:
            found.append(_lesson(said, example.calls[0], example.before, range(len(said)), ()))
            continue
        if example.starts is None:
            cuts = _cuts(said, example.calls, example.before)
        else:
            cuts = tuple(_behind_joints(said, example.text[:at]) for at in example.starts)
        if not cuts or len(said) <= cuts[-1] or sorted({0, *cuts}) != [0, *cuts]:
            continue
        found.append(Lesson(prepare(said, example.before), None, cuts))
        found += _parts(said, example.calls, example.before, cuts)
    return [lesson for lesson in found if lesson is not None]


def _behind_joints(said: list[str], text: str) -> int:
    """Where the next call begins behind a part of a message: at its first word that is more than a joint."""
    cut = len(SPELLER.mend(words(english(text))))
    while cut < len(said) - 1 and said[cut] in JOINTS:
        cut += 1
    return cut


def _parts(
    said: list[str], calls: Sequence[Call], before: tuple[Call, ...], cuts: tuple[int, ...]
) -> list[Lesson | None]:
    found = []
    for call, (low, high) in zip(calls, pairwise((0, *cuts, len(said))), strict=True):
        found.append(_lesson(said, call, before, range(low, high), None))
        before = (*before, call)
    return found


def _cuts(said: list[str], calls: Sequence[Call], before: tuple[Call, ...]) -> tuple[int, ...]:
    """Where the calls of a message by hand begin: where each part names what its own call is used on."""
    after = [at for at in range(1, len(said)) if said[at - 1] in JOINTS and said[at] not in JOINTS]
    if len(after) < len(calls) - 1:
        after = list(range(1, len(said)))
    best: tuple[int, tuple[int, ...]] = (1 << 30, ())
    for cuts in islice(combinations(after, len(calls) - 1), MOST_CUTS):
        parts = _parts(said, calls, before, cuts)
        if all(part is not None for part in parts):
            best = min(best, (sum(map(_astray, parts)), cuts))
    return best[1]


def _astray(part: Lesson) -> int:
    """Names of a part that its call is not used on, and names of other parts that it is used on."""
    anchors = zip(part.prepared.anchors, part.labels.roles, strict=True)
    return sum(part.prepared.is_asked(mention) == (role == 0) for (_, mention), role in anchors)


def _lesson(
    said: list[str], call: Call, before: Sequence[Call], span: range, starts: tuple[int, ...] | None
) -> Lesson | None:
    if not said:
        return None
    prepared = prepare(said, before, span)
    taught = labels(call, prepared, before)
    return Lesson(prepared, taught, starts) if taught is not None else None


def varied(lesson: Lesson, rng: random.Random) -> Lesson:
    """The same lesson of other structures of the same kind and side, where what is asked may be asked of any."""
    taught, prepared = lesson.labels, lesson.prepared
    if taught is None or TOOL_NAMES[taught.choices["tool"]] not in OF_ANY or taught.choices["reference"]:
        return lesson
    told = {}
    for token, mention in prepared.anchors:
        if mention.kind == "known" and len(mention.ids) == 1:
            told[token] = (len(name(mention.ids[0]).split()), name(rng.choice(_alike(mention.ids[0]))).split())
    tokens, at, tags, begins = list(prepared.tokens[: prepared.own]), [], [], []
    moved, index = {}, prepared.own
    while index < len(prepared.tokens):
        moved[index] = len(tokens)
        length, named = told.get(index, (0, []))
        of_token = index - prepared.own
        tokens += [prepared.tokens[index], *named]
        at += [prepared.at[of_token], *[-1] * len(named)]
        begins += [prepared.begins[of_token], *[-1] * len(named)]
        tags += [taught.tags[of_token], *[0] * len(named)]
        index += 1 + length
    moved[index] = len(tokens)
    anchors = tuple((moved[token], mention) for token, mention in prepared.anchors)
    asked = range(moved[prepared.asked.start], moved[prepared.asked.stop])
    made = replace(prepared, tokens=tuple(tokens), at=tuple(at), anchors=anchors, begins=tuple(begins), asked=asked)
    return Lesson(made, replace(taught, tags=tuple(tags)), lesson.starts)


@cache
def _alike(id: str) -> tuple[str, ...]:
    this = STRUCTURES[id]
    found = [
        s.id
        for s in STRUCTURES.values()
        if (s.kind, s.tube, s.side, bool(s.level)) == (this.kind, this.tube, this.side, bool(this.level))
    ]
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Answers:
    """What the network should say of a batch (``IGNORED`` where nothing is to be learned)."""

    choices: dict[str, Tensor]
    roles: Tensor
    tags: Tensor
    starts: Tensor
    known: Tensor  # 1 where it is known whether a further call begins

    @classmethod
    def of(cls, batch: Sequence[Lesson], pieces: Pieces) -> Answers:
        """Of the lessons whose word pieces these are."""
        choices = {
            head: torch.tensor([b.labels.choices.get(head, IGNORED) if b.labels else IGNORED for b in batch])
            for head in HEADS
        }
        roles = torch.full(pieces.ids.shape, IGNORED)
        tags, starts, known = torch.full_like(roles, IGNORED), torch.zeros(roles.shape), torch.zeros(roles.shape)
        for row, (lesson, place) in enumerate(zip(batch, pieces.place, strict=True)):
            prepared = lesson.prepared
            if lesson.labels:
                for (token, _), role in zip(prepared.anchors, lesson.labels.roles, strict=True):
                    if token in place:
                        roles[row, place[token]] = role
                for token, tag in enumerate(lesson.labels.tags, start=prepared.own):
                    if token in place:
                        tags[row, place[token]] = tag
            if lesson.starts is not None:
                for token, word in enumerate(prepared.begins, start=prepared.own):
                    if token in place and word >= 0:
                        known[row, place[token]] = 1.0
                        starts[row, place[token]] = float(word in lesson.starts)
        return cls({h: t for h, t in choices.items() if (t != IGNORED).any()}, roles, tags, starts, known)


def loss_of(said: Said, wanted: Answers) -> Tensor:
    """Mean cross-entropy of the tool, its fields, roles, tags and beginnings."""
    total = said.starts.sum() * 0.0
    for head, answer in wanted.choices.items():
        weight = 2.0 if head == "tool" else 1.0
        part = F.cross_entropy(said.choices[head], answer, ignore_index=IGNORED, reduction="sum", label_smoothing=0.02)
        total = total + weight * part / len(answer)
    for logits, answer in ((said.roles, wanted.roles), (said.tags, wanted.tags)):
        if (answer != IGNORED).any():
            total = total + F.cross_entropy(logits.flatten(0, 1), answer.flatten(), ignore_index=IGNORED)
    parts = F.binary_cross_entropy_with_logits(
        said.starts, wanted.starts, reduction="none", pos_weight=torch.tensor(4.0)
    )
    return total + (parts * wanted.known).sum() / wanted.known.sum().clamp(min=1)


@dataclass(frozen=True)
class Options:
    """How to train.

    Attributes:
        minutes: of the clock; how many steps a shared machine makes in that time nobody knows before.
        steps: what ends it instead of the clock, where it is given.
        rate: of the encoder, at its highest; ten times that for the heads.
        frozen: lowest layers that stay.
        seed: of the order and of dropout.
        half: in bfloat16 where that loses nothing.
    """

    minutes: float = 60.0
    steps: int | None = None
    rate: float = 1e-4
    frozen: int = 1
    seed: int = 0
    half: bool = True


def train(encoder: Path, output: Path, learned: Sequence[Lesson], options: Options, start: Path | None = None) -> None:
    """Train, and write the folder every 200 steps and at the end.

    The lowest layers stay as they are, so that what they say of a message is computed once and kept.

    Args:
        encoder: folder of the encoder as it was published.
        output: where the planner goes.
        learned: lessons.
        options: see there.
        start: folder of a planner to go on from.
    """
    torch.manual_seed(options.seed)
    rng = random.Random(options.seed)
    pieces_of = WordPieces.load(encoder)
    sizes = {name: len(choices) for name, choices in HEADS.items()}
    net = MessageEncoder(BertConfig.from_pretrained(encoder), sizes, len(ROLES), len(TAGS))
    net.bert.load_state_dict(BertModel.from_pretrained(encoder, add_pooling_layer=False).state_dict())
    if start is not None:
        _go_on(net, MessageEncoder.load(start))
    frozen = [*net.bert.embeddings.parameters(), *net.bert.encoder.layer[: options.frozen].parameters()]
    for parameter in frozen:
        parameter.requires_grad_(False)
    upper = [p for p in net.bert.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [{"params": upper, "lr": options.rate},
         {"params": [p for n, p in net.named_parameters() if not n.startswith("bert.")], "lr": 10 * options.rate}],
        weight_decay=0.01, fused=True,
    )  # fmt: skip
    # Messages of about one length share a batch, drawn once, so that little is padded.
    order = sorted(range(len(learned)), key=lambda i: (len(learned[i].prepared.tokens), rng.random()))
    batches = [[learned[i] for i in order[at : at + BATCH]] for at in range(0, len(order), BATCH)]
    begin, step = time.monotonic(), 0

    def left() -> float:
        done = (time.monotonic() - begin) / (60 * options.minutes) if options.steps is None else step / options.steps
        return 1 - done

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / 100) * max(0.01, left()))
    print(f"{len(learned)} lessons, {len(batches)} steps a pass", flush=True)
    kept: list[tuple[Tensor, Pieces, Answers]] = []
    net.eval()
    with torch.no_grad():
        for batch in batches:
            pieces = pieces_of.batch([b.prepared.tokens for b in batch], [b.prepared.asked for b in batch])
            kept.append((net.lower(pieces, options.frozen).half(), pieces, Answers.of(batch, pieces)))
    print(f"lower layers read in {time.process_time():.0f} s of processor time", flush=True)
    epoch, mean = 0, 0.0
    net.train()
    while left() > 0:
        rng.shuffle(kept)
        for states, pieces, wanted in kept:
            with torch.autocast("cpu", torch.bfloat16, enabled=options.half):  # 1.6 times as fast where AVX-512 has it
                loss = loss_of(net.finish(states.float(), pieces, options.frozen), wanted)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            mean += (loss.item() - mean) / min(step, 100)
            if step % 50 == 0:
                print(f"pass {epoch} step {step} loss {mean:.3f} {time.process_time():.0f} s", flush=True)
            if step % 200 == 0:
                net.save(output, pieces_of.vocabulary)
            if left() <= 0:
                break
        epoch += 1
    net.save(output, pieces_of.vocabulary)


def _go_on(net: MessageEncoder, earlier: MessageEncoder) -> None:
    """Take over weights; of a head that has other options now, those of the options that it had, by their place."""
    mine = net.state_dict()
    for key, value in earlier.state_dict().items():
        if key in mine:
            n = min(len(mine[key]), len(value))
            mine[key][:n] = value[:n]
    net.load_state_dict(mine)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m medvl.training.talk.train", description=__doc__)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=Options.minutes, help="of the clock, after lower layers")
    parser.add_argument("--per-template", type=int, default=4, help="messages made of each template of the core")
    parser.add_argument("--composed", type=int, default=1500, help="messages by hand, joined")
    parser.add_argument("--rate", type=float, default=Options.rate)
    parser.add_argument("--frozen", type=int, default=Options.frozen, help="lowest layers that stay as they are")
    parser.add_argument("--seed", type=int, default=Options.seed)
    parser.add_argument("--full", action="store_true", help="in float32 throughout")
    parser.add_argument("--start", type=Path, help="folder of a planner to go on from")
    given = parser.parse_args(arguments)
    rng = random.Random(given.seed)
    hands = [e for e in written() if e.by not in HELD and not left_out(e)]
    first = [e for e in hands if not e.turns and len(e.calls) == 1 and len(e.text) < 90 and not language(e.text)]
    learned = lessons(list(generated(given.seed, given.per_template)))
    learned += lessons(list(composed(first, given.composed, rng)))
    learned += lessons(hands)  # a message by a person weighs more than one of a template, and comes in two forms
    learned += [varied(lesson, rng) for lesson in lessons([replace(e, text=rough(e.text, rng)) for e in hands])]
    options = Options(given.minutes, None, given.rate, given.frozen, given.seed, not given.full)
    train(given.encoder, given.output, learned, options, given.start)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
