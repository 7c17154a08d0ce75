"""Where weights come from: the bundle in ``assets/``, else a local folder, else the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import WeightsError
from .checksums import check
from .download import download, is_hub_name
from .sam2_layout import is_transformers, package_names, package_tensors
from .tensor_files import check_keys, pt_tensors, put, read_pt, tensors
from .tensor_files import names as stored_names

BUNDLED = Path(__file__).resolve().parents[2] / "assets"
MODEL_FILES = ["*.json", "*.safetensors", "vlm/*"]  # of a folder that ``MedVLSAM2.save_pretrained`` wrote


def find_model(name: str, revision: str | None = None) -> Path:
    """Folder of a preset or of a model that somebody trained.

    Args:
        name: ``"nano"``, the path of a folder with ``config.json``, or ``owner/name`` of a repository on the hub.
        revision: of the repository.

    Raises:
        WeightsError: none of these, or the hub cannot be reached.
    """
    for folder in (BUNDLED / name, Path(name)):
        if (folder / "config.json").is_file():
            return folder
    if Path(name).is_dir() or not is_hub_name(name):
        raise WeightsError(
            f"No model {name!r}: it is neither a preset ('nano', '7b') nor a folder with a config.json nor a "
            "repository of the Hugging Face hub (owner/name)."
        )
    try:
        folder = download(name, MODEL_FILES, revision)
    except WeightsError as error:
        raise WeightsError(f"No folder {name!r} with a config.json; as a repository of the hub: {error}") from error
    if not (folder / "config.json").is_file():
        raise WeightsError(f"The repository {name} on the hub has no config.json: it is no model of this package.")
    return folder


def fetch(
    model_id: str,
    patterns: list[str],
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """A local folder as it is, or a repository of the Hugging Face hub, downloaded now or found in its cache.

    Args:
        model_id: folder or repository.
        patterns: of the files that are needed.
        revision: as the rest: see ``huggingface_hub.snapshot_download``.
        cache_dir: see there.
        force_download: see there.
        local_files_only: see there.
        token: see there.

    Raises:
        WeightsError: neither in the cache nor given by the hub.
    """
    if Path(model_id).is_dir():
        return Path(model_id)
    return download(
        model_id,
        patterns,
        revision,
        cache_dir=cache_dir,
        force_download=force_download,
        local_files_only=local_files_only,
        token=token,
    )


def download_options(given: dict[str, object]) -> dict[str, object]:
    """Of what ``from_pretrained`` was given, the options of ``fetch``; the mixin hands over others too."""
    known = ("revision", "cache_dir", "force_download", "local_files_only", "token")
    return {name: given[name] for name in known if name in given}


def read_weights(folder: Path, stem: str) -> dict[str, Tensor]:
    """All tensors of ``stem.safetensors``, of the shards that ``stem.safetensors.index.json`` names, or of ``stem.pt``.

    Raises:
        WeightsError: a file is missing or damaged.
    """
    files = weight_files(folder, stem)
    if files[0].suffix == ".pt":
        return read_pt(files[0])
    return {name: value for file in files for name, value in _read(file).items()}


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError):
        raise WeightsError(
            f"The weights file {file.name} is damaged or cut short. Clone again (with all files) or copy it back."
        ) from None


def weight_files(folder: Path, stem: str) -> list[Path]:
    """The files that ``read_weights`` reads.

    Raises:
        WeightsError: one is missing, or is not the file that ``config.json`` has a checksum of.
    """
    if (folder / f"{stem}.pt").is_file():
        return [folder / f"{stem}.pt"]
    index = folder / f"{stem}.safetensors.index.json"
    names = _shards(index) if index.exists() else [f"{stem}.safetensors"]
    for name in names:
        if not (folder / name).is_file():
            raise WeightsError(f"The weights file {name} is missing. Clone again (with all files) or copy it back.")
    files = [folder / name for name in names]
    check(files)
    return files


def _shards(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WeightsError(f"{index.name} is damaged. Clone again (with all files) or copy it back.") from None


class StoredWeights:
    """Weights in files, read tensor by tensor: a network that is filled from them is never held twice.

    SAM 2 in transformers' layout is read under the names of the ``sam2`` package.

    Attributes:
        names: of the tensors.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        """Find the files of ``read_weights``.

        Raises:
            WeightsError: a file is missing, or of another layout.
        """
        self._files = weight_files(folder, stem)
        self._pt = self._files[0].suffix == ".pt"
        stored = read_pt(self._files[0]) if self._pt else stored_names(self._files)
        self._renamed = is_transformers(stored)
        self.names = {new for name in stored for new in package_names(name)} if self._renamed else set(stored)

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of each, in the precision that is stored."""
        stored = pt_tensors(self._files[0]) if self._pt else tensors(self._files)
        return package_tensors(stored) if self._renamed else stored

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the tensors, by name."""
        return {name: tuple(value.shape) for name, value in self}

    def fill(self, module: nn.Module, device: torch.device, what: str, optional: tuple[str, ...] = ()) -> None:
        """Fill a network on the meta device, in float32.

        Args:
            module: filled in place.
            device: where its tensors are to live.
            what: named in the error.
            optional: prefixes of names that the files may lack; such tensors are 0.

        Raises:
            WeightsError: names are missing (outside ``optional``) or unexpected, or shapes differ.
        """
        state = module.state_dict()
        lacking = set(state) - self.names
        spared = {name for name in lacking if name.startswith(optional)} if optional else set()
        check_keys(set(state), self.names, what, spared)
        zeros = ((name, torch.zeros(1, dtype=torch.float32).expand(state[name].shape)) for name in sorted(spared))
        for name, value in chain(self, zeros):
            if value.shape != state[name].shape:
                raise WeightsError(
                    f"The weights do not fit {what}: {name} is {tuple(value.shape)} in the files and "
                    f"{tuple(state[name].shape)} in the network. Use the files of one release together."
                )
            put(module, name, value, device, torch.float32)
        if left := [n for n, t in (*module.named_parameters(), *module.named_buffers()) if t.is_meta]:
            raise WeightsError(f"The files left {len(left)} tensors of {what} empty: {left[:3]}.")


def load_strict(module: nn.Module, weights: dict[str, Tensor], what: str, optional: tuple[str, ...] = ()) -> None:
    """Load weights and refuse any surprise.

    Args:
        module: filled in place.
        weights: state dict.
        what: named in the error.
        optional: prefixes of module keys that a checkpoint may lack.

    Raises:
        WeightsError: keys are missing (outside ``optional``) or unexpected, or shapes differ; the first ones are named.
    """
    own = module.state_dict()
    other = [key for key, tensor in weights.items() if key in own and own[key].shape != tensor.shape]
    if other:
        raise WeightsError(
            f"The weights do not fit {what}: {len(other)} of another shape {other[:3]}. Use the files of one release "
            "together."
        )
    result = module.load_state_dict(weights, strict=False)
    missing = [key for key in result.missing_keys if not key.startswith(optional)] if optional else result.missing_keys
    if missing or result.unexpected_keys:
        raise WeightsError(
            f"The weights do not fit {what}: {len(missing)} missing {missing[:3]}, {len(result.unexpected_keys)} "
            f"unexpected {result.unexpected_keys[:3]}. Use the files of one release together."
        )
