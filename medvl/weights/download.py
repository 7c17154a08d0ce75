"""Downloads from the Hugging Face hub: what is complete stays in its cache, every failure says what to do.

huggingface_hub shows the progress, takes up a connection that broke off inside a file, and keeps files that are
complete; a program that is ended in the middle of a file begins that file anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import WeightsError

NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")  # owner/name


def is_hub_name(name: str) -> bool:
    """Whether a text has the form of a repository on the hub."""
    return NAME.fullmatch(name) is not None


def download(repo: str, patterns: Sequence[str], revision: str | None = None, **options: object) -> Path:
    """Folder with the files of a repository: from the cache, or downloaded now.

    Args:
        repo: ``owner/name``.
        patterns: of the files that are needed.
        revision: branch, tag or commit; None is ``main``.
        options: others of ``huggingface_hub.snapshot_download``.

    Raises:
        WeightsError: it is not in the cache, and the hub did not give it.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=list(patterns), **options))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, HFValidationError, OSError) as error:
        raise WeightsError(_advice(repo, revision or "main", error)) from error


def kept(repo: str, patterns: Sequence[str], whole: Callable[[Path], bool]) -> Path | None:
    """What an earlier download of ``main`` left in the cache, if it is whole; the hub is not asked.

    Args:
        repo: ``owner/name``.
        patterns: of the files that are needed.
        whole: tells whether a folder has everything; older releases of huggingface_hub do not check that.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repo, allow_patterns=list(patterns), local_files_only=True))
    except (LocalEntryNotFoundError, OSError):
        return None
    return folder if whole(folder) else None


def commit_of(folder: Path) -> str | None:
    """The commit that a folder of the hub's cache holds; None for a folder of one's own."""
    folder = Path(folder)
    return folder.name if folder.parent.name == "snapshots" else None


def _advice(repo: str, revision: str, error: Exception) -> str:
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    if offline:
        why = "HF_HUB_OFFLINE is set and it is not in the cache"
    else:
        why = f"the Hugging Face hub did not give it ({type(error).__name__})"
    return (
        f"{repo} (revision {revision!r}) is not here: {why}. On a machine with a network run `hf download {repo}` "
        "(files that are complete are kept if it is cut off), then either copy that cache and set HF_HUB_OFFLINE=1, or "
        "copy the files into a folder and give that: as checkpoints= (--checkpoints FOLDER) for the 7b preset, else as "
        "the model's name."
    )
