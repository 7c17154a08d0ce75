"""Checkpoints whose names or tensors are not those of the model class: what transformers 5 calls weight conversions.

GPT-NeoX stores its output head as ``embed_out``; a mixture of experts stores one tensor an expert and projection, and
the class computes with all of them fused into one. The rules are those of transformers; here they are applied tensor by
tensor, so that no more than the parts of one fused tensor is ever held twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from torch import Tensor, nn

from .errors import WeightsError


class StoredLayout:
    """From the tensors of a checkpoint to those of a model.

    Attributes:
        names: what the checkpoint holds, under the model's names; a name that no rule knows stays as it is.
        stored: model's name -> name in the checkpoint; None where a tensor is put together from several.
    """

    def __init__(self, model: nn.Module, found: set[str]) -> None:
        """Prepare.

        Args:
            model: of transformers, may be on the meta device.
            found: names of the checkpoint.
        """
        self._model = model
        self._target: dict[str, str] = {}
        self._rule: dict[str, tuple[object, str]] = {}  # of a stored name: a converter and which of its patterns it met
        self._parts: dict[str, set[str]] = {}
        self._held: dict[str, dict[str, Tensor]] = {}
        expected = set(model.state_dict())
        self.names = found & expected
        self.stored: dict[str, str | None] = {name: name for name in self.names}
        if strange := found - expected:
            self._convert(strange, expected)

    def _convert(self, strange: set[str], expected: set[str]) -> None:
        try:
            from transformers.conversion_mapping import get_model_conversion_mapping
            from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key
        except ImportError:  # before transformers 5 classes were as their checkpoints
            self.names |= strange
            return
        rules = get_model_conversion_mapping(self._model)
        renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
        converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
        by_pattern = {pattern: rule for rule in converters for pattern in rule.source_patterns}
        for name in strange:
            target, pattern = rename_source_key(name, renamings, converters)
            # Parts of a weight that is stored in NF4 keep their ends (".absmax"), and are renamed like it.
            if not any(target == e or target.startswith(f"{e}.") for e in expected):
                self.names.add(name)
            elif pattern is None:
                self._target[name] = target
                self.stored[target] = name
                self.names.add(target)
            else:
                self._rule[name] = (by_pattern[pattern], pattern)
                self._parts.setdefault(target, set()).add(name)
                self._target[name] = target
        for target, parts in self._parts.items():
            made = self._made(target, parts)
            self.names |= made
            self.stored |= dict.fromkeys(made)

    def _made(self, target: str, parts: set[str]) -> set[str]:
        """Names that a converter makes of its parts; one may make several."""
        rule, _ = self._rule[next(iter(parts))]
        first = rule.target_patterns[0]
        return {target.replace(first, each) for each in rule.target_patterns} if first in target else {target}

    def add(self, name: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Take a tensor of the checkpoint.

        Yields:
            Tensors of the model, under its names: none while parts of a fused tensor are still missing.

        Raises:
            WeightsError: the parts do not make the model's tensor.
        """
        if name not in self._rule:
            yield self._target.get(name, name), value
            return
        target = self._target[name]
        held = self._held.setdefault(target, {})
        held[name] = value.clone()  # a tensor of a memory-mapped file would keep the whole file mapped
        if len(held) < len(self._parts[target]):
            return
        from transformers.core_model_loading import dot_natural_key

        rule = deepcopy(self._rule[name][0])
        parts = self._held.pop(target)
        for part in sorted(parts, key=dot_natural_key):  # experts by number
            rule.add_tensor(target, part, self._rule[part][1], parts.pop(part))
        try:
            made = rule.convert(target, model=self._model, config=self._model.config)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise WeightsError(
                f"The parts of {target} in the checkpoint do not go together ({error}). Use the config and the weights "
                "of one release together."
            ) from error
        for each, tensor in made.items():
            yield each, tensor[0] if isinstance(tensor, list) else tensor
