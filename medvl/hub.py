"""Where weights come from: the bundle in ``assets/``, else a local folder, else the Hugging Face hub."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from .errors import WeightsError
from .hub_checkpoints import read_pt
from .hub_download import download, is_hub_name

BUNDLED = Path(__file__).resolve().parent.parent / "assets"
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
        WeightsError: a file is missing.
    """
    if (folder / f"{stem}.pt").is_file():
        return read_pt(folder / f"{stem}.pt")
    index = folder / f"{stem}.safetensors.index.json"
    names = (
        sorted(set(json.loads(index.read_text())["weight_map"].values())) if index.exists() else [f"{stem}.safetensors"]
    )
    weights: dict[str, Tensor] = {}
    for name in names:
        if not (folder / name).is_file():
            raise WeightsError(f"The weights file {name} is missing. Clone again (with all files) or copy it back.")
        weights.update(load_file(folder / name))
    return weights


def load_strict(module: nn.Module, weights: dict[str, Tensor], what: str, optional: tuple[str, ...] = ()) -> None:
    """Load weights and refuse any surprise.

    Args:
        module: filled in place.
        weights: state dict.
        what: named in the error.
        optional: prefixes of module keys that a checkpoint may lack.

    Raises:
        WeightsError: keys are missing (outside ``optional``) or unexpected; the first ones are named.
    """
    result = module.load_state_dict(weights, strict=False)
    missing = [key for key in result.missing_keys if not key.startswith(optional)] if optional else result.missing_keys
    if missing or result.unexpected_keys:
        raise WeightsError(
            f"The weights do not fit {what}: {len(missing)} missing {missing[:3]}, {len(result.unexpected_keys)} "
            f"unexpected {result.unexpected_keys[:3]}. Use the files of one release together."
        )
