"""What a stage is fed: datasets in an order that depends on the seed and the position only, for exact resume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ...errors import ConfigError, TrainingError
from ..config import DatasetSettings, TrainingConfig
from ..datasets import JoinedSamples, draw, open_dataset
from ..datasets.prepared import Prepared
from ..datasets.samples import Sample, Turn
from .dataset import TrainingSet

Item = dict[str, Any]
CAPTION_QUESTIONS = (
    "Describe the findings of the medical image you see.",  # what reports ask, see conversation.image_reader
    "Describe this CT.",
    "What does this scan show?",
    "Write the findings of this CT.",
    "Summarise what is seen in this volume.",
)
TOLD = ("caption", "report")


def open_samples(settings: Sequence[DatasetSettings]) -> Sequence[Sample]:
    """Samples of several datasets, put together; each is made when it is asked for.

    Raises:
        ConfigError: a dataset is empty, or lacks ids that were named.
    """
    joined = []
    for each in settings:
        found = open_dataset(each.kind, each.root, each.split)
        if each.prepared is not None:
            found = Prepared(each.prepared, found)
        if each.ids:
            places = {found[i].id: i for i in range(len(found))}
            if missing := sorted(set(each.ids) - set(places)):
                raise ConfigError(f"The {each.split} split of {each.kind} has no {', '.join(missing)}.")
            found = Part(found, [places[name] for name in each.ids])
        if each.limit:
            found = Part(found, list(range(min(each.limit, len(found)))))
        if not len(found):
            raise ConfigError(f"The {each.split} split of the {each.kind} dataset holds nothing.")
        joined.append((found, each.repeat))
    if not joined:
        raise ConfigError("There is nothing to train on: name datasets under data.train.")
    return JoinedSamples(joined)


class Part(Sequence[Sample]):
    """Some samples of a dataset."""

    def __init__(self, samples: Sequence[Sample], places: list[int]) -> None:
        self.samples, self.places = samples, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override] - slices are not needed
        return self.samples[self.places[index]]

    def draw(self, index: int, epoch: int = 0) -> Sample:
        """The sample as its dataset draws it for an epoch."""
        return draw(self.samples, self.places[index], epoch)


class _Visits(TrainingSet):
    """A training set whose epoch is its own: workers that are an epoch apart do not share it."""

    _number = 0

    @property
    def epoch(self) -> int:
        return self._number

    def set_epoch(self, number: int) -> None:
        self._number = number


class Feed(Dataset):
    """A training set addressed by (epoch, index), with the words of that visit drawn for the stage.

    Items are those of ``TrainingSet`` with ``"turns"``, what was drawn.
    """

    def __init__(
        self, samples: Sequence[Sample], config: TrainingConfig, size: tuple, draw: Callable, train: bool
    ) -> None:
        self.items = _Visits(
            samples,
            size,
            augment=train and config.data.augment,
            seed=config.run.seed,
            slices=config.loss.slices,
            every=config.loss.names > 0 or config.data.cache,
        )
        self.seed, self.draw, self.cache = config.run.seed, draw, {} if config.data.cache else None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        epoch, index = key
        if self.cache is None or index not in self.cache:
            self.items.set_epoch(epoch)
            item = self.items[index]
            if self.cache is not None:
                self.cache[index] = item
        else:
            item = self.cache[index]
            if self.items.every:  # masks of all that could be spoken of are there
                self.items.set_epoch(epoch)
                item = item | {"sample": self.items.in_other_words(index, item)}
        turns = self.draw(item, np.random.default_rng((self.seed, epoch, index)))
        spoken = {name for turn in turns for name in turn.targets}
        slices = {name: row for name, row in item["slices"].items() if name in spoken}  # pictures are large
        return item | {"turns": turns, "slices": slices}


class Order(Sampler):
    """Endless batches of (epoch, index) for one process; every epoch is a new permutation, the same for all processes.

    Args:
        count: of the samples.
        batch: a process and pass.
        start: passes that were done already.
        mix: ``[(samples, weight), ...]`` of datasets that follow one another: each pass is of one of them, in all
            processes the same, drawn by weight; each has epochs of its own. None: all are shuffled together.
    """

    def __init__(
        self,
        count: int,
        batch: int,
        seed: int,
        rank: int,
        processes: int,
        start: int = 0,
        mix: Sequence[tuple[int, float]] | None = None,
    ) -> None:
        self.batch, self.seed, self.rank, self.processes, self.start = batch, seed, rank, processes, start
        self.mix = list(mix or [(count, 1.0)])

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        @lru_cache(maxsize=2 * len(self.mix))
        def permutation(part: int, epoch: int) -> np.ndarray:
            return np.random.default_rng((self.seed, epoch, *[part] * (part > 0))).permutation(self.mix[part][0])

        starts = np.cumsum([0, *(count for count, _ in self.mix)])
        parts = self._parts()
        done = [0] * len(self.mix)  # passes of each
        for _ in range(self.start):
            done[next(parts)] += 1
        while True:
            part = next(parts)
            first = (done[part] * self.processes + self.rank) * self.batch
            places = [divmod(p, self.mix[part][0]) for p in range(first, first + self.batch)]
            yield [(epoch, int(starts[part] + permutation(part, epoch)[at])) for epoch, at in places]
            done[part] += 1

    def _parts(self) -> Iterator[int]:
        """Which dataset each pass is of."""
        if len(self.mix) == 1:
            yield from repeat(0)
        share = np.array([weight for _, weight in self.mix])
        state = np.random.default_rng((self.seed, len(self.mix)))
        while True:
            yield from state.choice(len(self.mix), 1024, p=share / share.sum()).tolist()


def mix_of(settings: Sequence[DatasetSettings], samples: Sequence[Sample]) -> list[tuple[int, float]] | None:
    """``Order``'s ``mix`` of datasets that have weights; None where they have none."""
    counts = getattr(samples, "counts", ())
    weights = [each.weight for each in settings]
    return list(zip(counts, weights, strict=True)) if counts and all(weights) else None


def loader(feed: Feed, batches: Sampler | list, workers: int) -> DataLoader:
    """Batches as lists of items. It has a generator of its own, so that reading does not change the model's dropout."""
    workers = 0 if feed.cache is not None else workers
    return DataLoader(
        feed,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=list,
        generator=torch.Generator(),
        # Batches wait in shared memory: two a worker bound it, and a worker that stays keeps what it has opened.
        prefetch_factor=2 if workers else None,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def held_out(count: int, most: int, batch: int, rank: int, processes: int) -> list[list[tuple[int, int]]]:
    """This process's share of the first ``most`` samples, always those of epoch 0; the first one if there is none."""
    mine = [(0, i) for i in range(min(count, most))][rank::processes] or [(0, 0)]
    return [mine[i : i + batch] for i in range(0, len(mine), batch)]


# ---- what is drawn of a sample


def caption(item: Item, rng: np.random.Generator) -> list[Turn]:
    """One text about the image, as the answer to a request for a description."""
    sample: Sample = item["sample"]
    texts = [*sample.captions] or [t.answer for t in sample.turns if t.kind in TOLD]
    if not texts:
        raise TrainingError(f"Sample {sample.id!r} has no caption: leave its dataset out of this stage.")
    question = CAPTION_QUESTIONS[rng.integers(len(CAPTION_QUESTIONS))]
    return [Turn(question, str(texts[rng.integers(len(texts))]), kind="caption")]


def answers(item: Item, rng: np.random.Generator, count: int) -> list[Turn]:
    """Up to ``count`` questions whose answers segment nothing."""
    turns = [t for t in item["sample"].turns if not t.targets and t.kind != "absent"]
    if not turns:
        return caption(item, rng)
    return _some(turns, rng, count)


def segmenting(item: Item, rng: np.random.Generator, count: int, absent_share: float) -> list[Turn]:
    """Up to ``count`` questions of any kind whose structures are in the image, or, at times, about one that is not."""
    turns = [t for t in item["sample"].turns if all(item["masks"][n].any() for n in t.targets)]
    absent = [t for t in turns if t.kind == "absent"]
    rest = [t for t in turns if t.kind != "absent"]
    if absent and (not rest or rng.random() < absent_share):
        return _some(absent, rng, 1) + (_some(rest, rng, count - 1) if rest and count > 1 else [])
    return _some(rest, rng, count) if rest else caption(item, rng)


def _some(turns: list[Turn], rng: np.random.Generator, count: int) -> list[Turn]:
    return [turns[i] for i in rng.permutation(len(turns))[:count]]
