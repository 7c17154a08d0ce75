"""The public checkpoints behind the ``7b`` preset: where they are, under which licence, how they get here.

Downloads go through huggingface_hub (``hub_download``): they show their progress and are kept in its cache. Without a
network a folder with the files is enough (``checkpoints=``), or the cache (``HF_HUB_OFFLINE=1``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import WeightsError
from .download import commit_of, download, kept
from .hub import StoredWeights
from .sam2_layout import configuration
from .tensor_files import checkpoint_files

# Where no commit is pinned below, the first download pins it; see ``find``.
REVISION = "main"
SLICE_SIZES = ("auto", "256", "512", "1024")  # pixels that SAM 2 may be shown a slice in
INTENDED_USE = "Research use only, not for diagnosis."


@dataclass(frozen=True)
class Checkpoint:
    """A public model repository.

    Attributes:
        repo: on the Hugging Face hub.
        files: names or patterns that are needed of it.
        licence: as its publishers state it.
        what: for people.
        sam2_config: Hydra config in the ``sam2`` package, for SAM 2 checkpoints.
        image_size: pixels that slices had in training, both sides, for SAM 2 checkpoints.
        revision: commit that is taken where no other is asked for. Those of SAM 2.1 and MedSAM2 are the ones that
            several independent public projects pin; no run here has checked them against the hub.
    """

    repo: str
    files: tuple[str, ...]
    licence: str
    what: str
    sam2_config: str = ""
    image_size: int = 1024
    revision: str = REVISION

    @property
    def short(self) -> str:
        """Its name without what it was made for."""
        return self.what.partition(",")[0]

    @property
    def notice(self) -> str:
        """One line on licence and use for the page and the command line."""
        return self.notice_of(None)

    def notice_of(self, folder: Path | None) -> str:
        """As ``notice``, with the commit that was loaded.

        Args:
            folder: that it was loaded from; None leaves it open.
        """
        if folder is None or not self.repo:
            where = self.repo or "a local file"
        else:
            commit = commit_of(folder)
            where = f"{self.repo}, revision {commit[:12]}" if commit else f"{self.repo}, from a local folder"
        return f"{self.what} ({where}): {self.licence} {INTENDED_USE}"


VLM = Checkpoint(
    "MagicXin/Med3DVLM-Qwen-2.5-7B",
    ("*.json", "*.safetensors", "*.txt", "*.jinja", "vision_tower.bin"),
    "code MIT, published for research purposes only; see the model page for the weights' own terms.",
    "Med3DVLM-Qwen-2.5-7B, 3-D encoder, projector and language model",
)


def _sam2(size: str, letter: str, commit: str) -> Checkpoint:
    return Checkpoint(
        f"facebook/sam2.1-hiera-{size}",
        (f"sam2.1_hiera_{size.replace('-', '_')}.pt",),
        "Apache-2.0.",
        f"SAM 2.1 hiera-{size}",
        f"configs/sam2.1/sam2.1_hiera_{letter}.yaml",
        revision=commit,
    )


def _medsam2(file: str, tuned: str) -> Checkpoint:
    return Checkpoint(
        "wanglab/MedSAM2",
        (file,),
        # The tag would allow commercial use and the card's text does not: both are told, and the stricter one counts.
        "code Apache-2.0; the weights are tagged CC-BY-SA-4.0, and their model card says that they can only be used "
        "for research and education purposes.",
        f"MedSAM2, SAM 2.1 hiera-tiny tuned on {tuned} at 512 pixels",
        "configs/sam2.1/sam2.1_hiera_t.yaml",
        512,
        "e4a6f35edd7e091619cbc0750f462f1574e23955",
    )


SAM2 = {
    "sam2.1-tiny": _sam2("tiny", "t", "de431c4043854a71d8101e17995dfe596bf101a5"),
    "sam2.1-small": _sam2("small", "s", "ee5bba1d82bb8749febdf90f45e84b687142ba03"),
    "sam2.1-base-plus": _sam2("base-plus", "b+", "b7320756a13354e7530a63935656d35b2f91a290"),
    "sam2.1-large": _sam2("large", "l", "665f8e2ad61cf5f53d65644ff27c8ee525124610"),
    "medsam2": _medsam2("MedSAM2_latest.pt", "medical scans"),
    "medsam2-2411": _medsam2("MedSAM2_2411.pt", "medical scans (November 2024)"),
    "medsam2-ct-lesion": _medsam2("MedSAM2_CTLesion.pt", "lesions in CT"),
    "medsam2-mri-liver-lesion": _medsam2("MedSAM2_MRI_LiverLesion.pt", "liver lesions in MRI"),
    "medsam2-us-heart": _medsam2("MedSAM2_US_Heart.pt", "ultrasound of the heart"),
}


def sam2_checkpoint(name: str) -> Checkpoint:
    """The SAM 2 checkpoint of an option: a name in ``SAM2``, or a file in any of its layouts.

    Raises:
        WeightsError: there is none of this name; the message lists them.
    """
    if name.endswith((".pt", ".safetensors")) and Path(name).is_file():
        licence = "under the terms of whoever trained it."
        config = configuration(StoredWeights(Path(name).parent, Path(name).stem).shapes())
        size = 512 if Path(name).name.startswith("MedSAM2") else 1024
        return Checkpoint("", (name,), licence, f"SAM 2 from {Path(name).name}", config, size)
    if name not in SAM2:
        raise WeightsError(
            f"No SAM 2 checkpoint {name!r}. Choose one of: {', '.join(SAM2)}; or give a .pt or .safetensors file."
        )
    return SAM2[name]


def find(checkpoint: Checkpoint, checkpoints: str | Path | None = None, revision: str | None = None) -> Path:
    """A folder with the files of a checkpoint: given, cached, or downloaded now.

    Where no commit is pinned here, the first download decides: later starts take the same files without asking the hub
    for newer ones, until a revision is named.

    Args:
        checkpoint: which.
        checkpoints: a folder that holds the files, or a sub-folder named like the repository (``repo`` or its last
            part); the hub is then not asked.
        revision: branch, tag or commit; None takes the checkpoint's own. ``"main"`` fetches what is newest.

    Raises:
        WeightsError: the files are not where they should be, or the hub cannot be reached; the message says what to do.
    """
    if checkpoints is not None:
        return _local(checkpoint, Path(checkpoints))
    if revision is None and checkpoint.revision == REVISION:
        folder = kept(checkpoint.repo, checkpoint.files, lambda folder: _whole(checkpoint, folder))
        if folder is not None:
            return folder
    return download(checkpoint.repo, checkpoint.files, revision or checkpoint.revision)


SAFETENSORS = "model.safetensors"  # what transformers' layout of SAM 2.1 is called in the same repositories


def _needed(checkpoint: Checkpoint) -> list[str]:
    return [f for f in checkpoint.files if "*" not in f and f.endswith(".pt")] or ["config.json"]


def _whole(checkpoint: Checkpoint, folder: Path) -> bool:
    needed = _needed(checkpoint)
    if not all((folder / f).is_file() for f in needed):
        return False
    if "config.json" not in needed:
        return True
    try:
        checkpoint_files(folder)
    except WeightsError:
        return False
    return True


def _local(checkpoint: Checkpoint, folder: Path) -> Path:
    if not folder.is_dir():
        raise WeightsError(f"There is no folder {folder.name!r} with checkpoints.")
    needed = _needed(checkpoint)
    for place in (folder / checkpoint.repo, folder / checkpoint.repo.rpartition("/")[2], folder):
        if all((place / f).is_file() for f in needed):
            return place
    if checkpoint.sam2_config:  # not in ``folder`` itself, where such a file may be of the language model
        for place in (folder / checkpoint.repo, folder / checkpoint.repo.rpartition("/")[2]):
            if (place / SAFETENSORS).is_file():
                return place
    raise WeightsError(
        f"The folder {folder.name!r} does not hold {' and '.join(needed)} of {checkpoint.repo}. Put the repository's "
        f"files into it or into a sub-folder {checkpoint.repo.rpartition('/')[2]!r}."
    )
