"""BERTScore (Zhang et al., arXiv 1904.09675) with a model folder on this machine.

The same figures as the ``bert-score`` package without idf and without rescaling: precision is the mean, over the words
of the answer, of the highest cosine with any word of the reference, in one hidden layer of a BERT-like model; recall
the other way round; F1 of both. The package itself (0.3.13) does not run with tokenizers of current transformers
releases that state no maximal length.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..errors import WeightsError

DEFAULT = "roberta-large"  # what the package takes for English, and with it M3D and Med3DVLM
LAYERS = {
    ("roberta", 24): 17, ("roberta", 12): 10, ("bert", 24): 18, ("bert", 12): 9, ("distilbert", 6): 5,
    ("xlm-roberta", 24): 17,
}  # fmt: skip
"""The layers that the package takes, by kind of model and number of its layers."""
NO_LIMIT = 10**6  # tokenizers that know none say 10^30


class BertScore:
    """A model in memory that compares texts.

    Attributes:
        layer: hidden layer that is compared; 0 is the embeddings.
        name: of the model, for notes.
    """

    def __init__(self, folder: str | Path, layer: int | None = None, device: torch.device | str = "cpu") -> None:
        """Read a model folder in the Hugging Face layout.

        Args:
            folder: with ``config.json``, a tokenizer and weights.
            layer: that is compared; None takes the package's for this kind of model, else the last.
            device: where it runs.

        Raises:
            WeightsError: it is no such folder, or has no such layer.
        """
        from transformers import AutoModel, AutoTokenizer

        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise WeightsError(f"There is no BERT-like model in {folder.name!r}: a folder with config.json is needed.")
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModel.from_pretrained(folder, local_files_only=True).to(device).eval()
        except (OSError, ValueError) as error:
            raise WeightsError(f"The model in {folder.name!r} cannot be read for BERTScore: {error}") from error
        config = self._model.config
        count = config.num_hidden_layers
        self.layer = LAYERS.get((config.model_type, count), count) if layer is None else layer
        if not 0 <= self.layer <= count:
            raise WeightsError(f"The model in {folder.name!r} has the layers 0 to {count}; there is no {self.layer}.")
        room = getattr(config, "max_position_embeddings", NO_LIMIT)
        if "roberta" in config.model_type:
            room -= 2  # its positions begin behind the padding's
        self._most = min(room, self._tokenizer.model_max_length)
        self._known: dict[tuple[str, str], float] = {}
        self.name = folder.name if folder.parent.name != "snapshots" else folder.parents[1].name.rpartition("--")[2]

    @classmethod
    def find(cls, device: torch.device | str = "cpu") -> BertScore | None:
        """The usual model if it is in the hub's cache; nothing is downloaded."""
        from huggingface_hub import try_to_load_from_cache

        for repo in (DEFAULT, f"FacebookAI/{DEFAULT}"):
            config = try_to_load_from_cache(repo, "config.json")
            if isinstance(config, str):
                try:
                    return cls(Path(config).parent, device=device)
                except WeightsError:
                    continue
        return None

    @torch.inference_mode()
    def f1(self, predictions: Sequence[str], references: Sequence[str]) -> list[float]:
        """F1 of each pair; 0 where one of the texts has no word. Long texts are cut at the model's length."""
        pairs = list(zip(predictions, references, strict=True))
        for pair in pairs:
            if pair not in self._known:
                self._known[pair] = self._pair(*pair)
        return [self._known[pair] for pair in pairs]

    def _pair(self, said: str, wanted: str) -> float:
        (a, words_a), (b, words_b) = self._states(said), self._states(wanted)
        if not words_a.any() or not words_b.any():
            return 0.0
        likeness = a @ b.T  # [T, T'] cosines; the markers at both ends can be matched and are not averaged
        precision = likeness.amax(1)[words_a].mean()
        recall = likeness.amax(0)[words_b].mean()
        return float(2 * precision * recall / (precision + recall))

    def _states(self, text: str) -> tuple[Tensor, Tensor]:
        """``[T, C]`` unit vectors, and which of them are words."""
        encoded = self._tokenizer(
            text.strip(), truncation=True, max_length=self._most, return_tensors="pt", return_special_tokens_mask=True
        )
        special = encoded.pop("special_tokens_mask")[0].bool()
        inputs = {name: value.to(self._model.device) for name, value in encoded.items()}
        states = self._model(**inputs, output_hidden_states=True).hidden_states[self.layer][0]
        return torch.nn.functional.normalize(states.float(), dim=-1).cpu(), ~special
