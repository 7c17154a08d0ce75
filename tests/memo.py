"""What the bundled networks said of a picture or scan is kept for the suite: computed once, not once a file.

``Sam2.encode`` and the two passes of the localiser are functions of weights and voxels and take most of the suite's
time. What they gave is kept on the disk under a digest of both, for all processes of a run. Folders that test these
networks themselves compute (``COMPUTED``).
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = "MEDVL_TESTS_MEMO"  # environment variable, for the processes of a run to share
LEFT_FREE = 4e9  # bytes that are left to what the tests themselves write
COMPUTED = ("medvl/networks", "medvl/training", "medvl/weights", "benchmarks")


def _digest(*parts: object) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if hasattr(part, "named_parameters"):
            for name, tensor in part.named_parameters():
                digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
                digest.update(tensor.detach().flatten()[:64].float().numpy().tobytes())
        elif hasattr(part, "tobytes"):
            digest.update(f"{part.shape}{part.dtype}".encode() + part.tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()


def _kept(key: str, compute: Callable[[], Any]) -> Any:
    path = Path(os.environ[FOLDER], key)
    if path.exists():
        return pickle.loads(path.read_bytes())
    value = compute()
    if shutil.disk_usage(path.parent).free < LEFT_FREE:
        return value  # a small disk costs time, never a test
    written = path.with_suffix(f".{uuid.uuid4().hex}")
    written.write_bytes(pickle.dumps(value, protocol=5))
    written.replace(path)
    return value


def install(patch: Any) -> None:
    """Let the networks remember, by ``pytest.MonkeyPatch``."""
    from medvl.errors import Cancelled
    from medvl.networks.sam2 import Sam2
    from medvl.structures import finder

    encode, locate, details = Sam2.encode, finder.locate, finder.locate_details

    def encode_once(sam2: Any, plane: Any) -> Any:
        key = _digest("encode", sam2.net.image_encoder, sam2.config, sam2.dtype, str(sam2.device), plane)
        return _kept(key, lambda: encode(sam2, plane))

    def told(compute: Callable[[], Any], key: str, cancel: Any, progress: Any) -> Any:
        if cancel is not None and cancel.is_set():
            raise Cancelled("Stopped.")
        value = _kept(key, compute)
        if progress is not None:
            progress(1.0)
        return value

    def locate_once(net: Any, ct: Any, device: Any, cancel: Any = None, progress: Any = None) -> Any:
        key = _digest("locate", net, net.config, str(device), ct.hu, ct.affine)
        return told(lambda: locate(net, ct, device, cancel, progress), key, cancel, progress)

    def details_once(
        net: Any, head: Any, ct: Any, coarse: Any, device: Any, cancel: Any = None, progress: Any = None
    ) -> Any:
        key = _digest("details", net, head, str(device), ct.hu, ct.affine, coarse.probability)
        return told(lambda: details(net, head, ct, coarse, device, cancel, progress), key, cancel, progress)

    patch.setattr(Sam2, "encode", encode_once)
    patch.setattr(finder, "locate", locate_once)
    patch.setattr(finder, "locate_details", details_once)
