"""``MessageEncoder``: a small sentence encoder with a head for every choice that a plan is made of.

The encoder is a BERT of transformers (all-MiniLM-L6-v2, Apache-2.0, before it is trained on); what the heads mean is
told by ``medvl.language.encoding``. It reads words and says what they ask for; it writes none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import WeightsError
from ..weights.checksums import check, record

if TYPE_CHECKING:
    from transformers import BertConfig

WEIGHTS, CONFIG, VOCABULARY = "planner.safetensors", "config.json", "vocab.txt"
LONGEST = 96  # word pieces; of a longer message the end is read


@dataclass(frozen=True, eq=False)
class Said:
    """What the network says of a batch, before any choice is made; ``B`` messages of ``T`` word pieces.

    Attributes:
        choices: of each head ``[B, options]``.
        roles: ``[B, T, roles]``, meant at anchors.
        tags: ``[B, T, tags]``.
        starts: ``[B, T]``, above 0 where a further call begins.
    """

    choices: dict[str, Tensor]
    roles: Tensor
    tags: Tensor
    starts: Tensor


@dataclass(frozen=True, eq=False)
class Pieces:
    """Word pieces of a batch of messages.

    Attributes:
        ids: ``[B, T]``.
        mask: 1 where there is a piece ``[B, T]``.
        own: 1 where it belongs to the words that are asked about, 0 where to what they are read with ``[B, T]``.
        place: of each message, the piece that begins each of its words; words that were cut off are missing.
    """

    ids: Tensor
    mask: Tensor
    own: Tensor
    place: tuple[dict[int, int], ...]


class MessageEncoder(nn.Module):
    """BERT, and linear heads on the mean of the word pieces that are asked about and on each of all."""

    def __init__(self, bert: BertConfig, heads: dict[str, int], roles: int, tags: int) -> None:
        super().__init__()
        self.sizes = {"heads": dict(heads), "roles": roles, "tags": tags}
        from transformers import BertModel  # seconds, which a program that is asked nothing need not wait

        self.bert = BertModel(bert, add_pooling_layer=False)
        width = bert.hidden_size
        self.heads = nn.ModuleDict({name.replace(".", "__"): nn.Linear(width, n) for name, n in heads.items()})
        self.roles, self.tags, self.starts = nn.Linear(width, roles), nn.Linear(width, tags), nn.Linear(width, 1)
        self.drop = nn.Dropout(0.1)

    def forward(self, pieces: Pieces) -> Said:
        """Read messages."""
        return self.finish(self.lower(pieces, 0), pieces, 0)

    def lower(self, pieces: Pieces, depth: int) -> Tensor:
        """States after the first ``depth`` layers ``[B, T, C]``, which training may keep as they are."""
        states = self.bert.embeddings(input_ids=pieces.ids, token_type_ids=pieces.own)
        return self._layers(states, pieces, 0, depth)

    def finish(self, states: Tensor, pieces: Pieces, depth: int) -> Said:
        """What is said from the states of ``lower``."""
        states = self._layers(states, pieces, depth, len(self.bert.encoder.layer))
        weight = (pieces.own * pieces.mask).unsqueeze(-1).to(states.dtype)
        mean = self.drop((states * weight).sum(1) / weight.sum(1).clamp(min=1))  # [B, C]
        choices = {name.replace("__", "."): head(mean) for name, head in self.heads.items()}
        states = self.drop(states)
        return Said(choices, self.roles(states), self.tags(states), self.starts(states).squeeze(-1))

    def _layers(self, states: Tensor, pieces: Pieces, first: int, end: int) -> Tensor:
        shut = torch.zeros_like(pieces.mask, dtype=states.dtype).masked_fill(pieces.mask == 0, float("-inf"))
        for layer in self.bert.encoder.layer[first:end]:
            states = layer(states, shut[:, None, None, :])
        return states

    def save(self, folder: Path, vocabulary: Sequence[str]) -> None:
        """Write weights in half precision with their checksum, sizes and vocabulary."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({n: t.detach().half().contiguous() for n, t in self.state_dict().items()}, folder / WEIGHTS)
        text = {"bert": self.bert.config.to_diff_dict(), **self.sizes}
        (folder / CONFIG).write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
        (folder / VOCABULARY).write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
        record(folder)

    @classmethod
    def load(cls, folder: Path) -> MessageEncoder:
        """The network of a folder that ``save`` wrote, ready to be asked.

        Raises:
            WeightsError: files are missing or do not fit this version.
        """
        try:
            check([folder / WEIGHTS])
            raw = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            from transformers import BertConfig

            made = cls(BertConfig(**raw["bert"]), raw["heads"], raw["roles"], raw["tags"])
            made.load_state_dict(load_file(folder / WEIGHTS))
        except (OSError, KeyError, RuntimeError, ValueError, TypeError, SafetensorError) as error:
            raise WeightsError(
                f"The planner in {folder.name!r} cannot be read ({error}). Fetch its folder again."
            ) from error
        return made.float().eval().requires_grad_(False)


class WordPieces:
    """WordPiece of BERT on words that are cut already; anchors of ``language.encoding`` are pieces of their own."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary = tuple(vocabulary)
        self._index = {piece: at for at, piece in enumerate(self.vocabulary)}
        self._begin, self._end = self._index["[CLS]"], self._index["[SEP]"]
        self._strange, self._nothing = self._index["[UNK]"], self._index["[PAD]"]

    @classmethod
    def load(cls, folder: Path) -> WordPieces:
        """From ``vocab.txt`` of a folder.

        Raises:
            WeightsError: there is none, or it is not BERT's.
        """
        try:
            return cls((folder / VOCABULARY).read_text(encoding="utf-8").splitlines())
        except (OSError, KeyError, UnicodeDecodeError) as error:
            raise WeightsError(
                f"The planner in {folder.name!r} has no vocabulary ({error}). Fetch its folder again."
            ) from error

    def of(self, word: str) -> list[int]:
        """Longest pieces first, as BERT was trained; one [UNK] for what has none."""
        if word in self._index:
            return [self._index[word]]
        found, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                at = self._index.get(("##" if start else "") + word[start:end])
                if at is not None:
                    break
            else:
                return [self._strange]
            found.append(at)
            start = end
        return found

    def batch(self, messages: Sequence[Sequence[str]], own: Sequence[range]) -> Pieces:
        """Pieces of messages.

        Args:
            messages: words of each.
            own: of each the indices of the words that are asked about; the others are read with them.
        """
        rows = [self._row(words, start) for words, start in zip(messages, own, strict=True)]
        longest = max((len(ids) for ids, _, _ in rows), default=0)
        ids = torch.full((len(rows), longest), self._nothing)
        mask, mine = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, (pieces, of_message, _) in enumerate(rows):
            ids[row, : len(pieces)] = torch.tensor(pieces)
            mine[row, : len(pieces)] = torch.tensor(of_message)
            mask[row, : len(pieces)] = 1
        return Pieces(ids, mask, mine, tuple(place for _, _, place in rows))

    def _row(self, words: Sequence[str], own: range) -> tuple[list[int], list[int], dict[int, int]]:
        cut = [self.of(word[:100]) for word in words]
        first, room = len(cut), LONGEST - 2
        while first and len(cut[first - 1]) <= room:  # from the end: what is asked now matters more than before
            first -= 1
            room -= len(cut[first])
        pieces, mine, place = [self._begin], [0], {}
        for index in range(first, len(cut)):
            place[index] = len(pieces)
            pieces += cut[index]
            mine += [int(index in own)] * len(cut[index])
        return [*pieces, self._end], [*mine, 0], place
