from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sam2
import torch
from sam2.build_sam import build_sam2

import medvl
from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.errors import WeightsError
from medvl.networks.sam2 import Sam2
from medvl.weights import checkpoints as hub_checkpoints
from medvl.weights import tensor_files

from ..tiny_checkpoints import write_med3dvlm


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a person would have copied: Med3DVLM's files and SAM 2.1 tiny, with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write_med3dvlm(folder / "Med3DVLM-Qwen-2.5-7B")
    torch.manual_seed(0)
    net = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", None, "cpu", apply_postprocessing=False)
    torch.save({"model": {n: t.half() for n, t in net.state_dict().items()}}, folder / "sam2.1_hiera_tiny.pt")
    return folder


@pytest.fixture(scope="module")
def ct():
    rng = np.random.default_rng(0)
    hu = np.full((40, 40, 5), -1000, np.int16)
    hu[5:35, 5:35] = rng.integers(0, 80, (30, 30, 5))
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    return CTVolume(hu, affine, SourceGeometry(hu.shape, affine))


def test_7b_loads_from_a_folder_reads_and_segments_with_memory(folder, ct, monkeypatch):
    small = replace(hub_checkpoints.SAM2["sam2.1-tiny"], image_size=128)
    monkeypatch.setitem(hub_checkpoints.SAM2, "sam2.1-tiny", small)
    model = medvl.load("7b", device="cpu", quantization="none", checkpoints=folder)
    assert model.config.name == "7b"
    assert model.vlm.lm.precision.mode == "none"
    assert model.networks.sam2.has_memory
    case = model.open(ct)
    reading = case.reading()
    assert case.reading() is reading  # encoded once
    answer = "".join(t.text for t in reading.ask("where is the liver ?", 5))
    assert answer
    case.segment(box=medvl.Box((8, 8, 2), (30, 30, 3)))
    assert len(case.masks) == 1
    assert case.nbytes > reading.nbytes > 0
    assert model.networks.edge == "sam2"
    told = " ".join(model.notices())
    for said in (
        "float32 as asked",
        "SAM 2.1 hiera-tiny",
        "delineated by SAM 2.1",
        "bundled localiser",
        "local folder",
    ):
        assert said in told
    case.close()


def test_missing_memory_module_is_told(folder, tmp_path, monkeypatch):
    state = torch.load(folder / "sam2.1_hiera_tiny.pt", weights_only=True)["model"]
    state.pop("obj_ptr_proj.layers.0.weight")
    for path in folder.iterdir():
        if path.name != "sam2.1_hiera_tiny.pt":
            (tmp_path / path.name).symlink_to(path)
    torch.save({"model": state}, tmp_path / "sam2.1_hiera_tiny.pt")
    with pytest.raises(WeightsError, match=r"obj_ptr_proj\.layers\.0\.weight"):
        medvl.load("7b", device="cpu", checkpoints=tmp_path)


def test_offline_and_not_cached_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError) as error:
        medvl.load("7b", device="cpu")
    for said in ("facebook/sam2.1-hiera-tiny", "HF_HUB_OFFLINE", "hf download", "--checkpoints"):
        assert said in str(error.value)


def test_folder_without_the_files_says_which(tmp_path):
    with pytest.raises(WeightsError, match=r"sam2\.1_hiera_large\.pt"):
        medvl.load("7b", device="cpu", sam2="sam2.1-large", checkpoints=tmp_path)
    with pytest.raises(WeightsError, match="no folder"):
        medvl.load("7b", device="cpu", checkpoints=tmp_path / "nowhere")


def test_unknown_sam2_is_refused_with_the_list():
    with pytest.raises(WeightsError, match="medsam2"):
        medvl.load("7b", device="cpu", sam2="sam3")


def test_pt_file_of_another_layout_is_refused(tmp_path):
    torch.save({"weights": {}}, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="not laid out"):
        tensor_files.read_pt(tmp_path / "x.pt")


@pytest.mark.parametrize("name", list(hub_checkpoints.SAM2))
def test_every_choice_has_a_config_of_the_package_and_a_notice(name):
    checkpoint = hub_checkpoints.SAM2[name]
    assert (Path(sam2.__path__[0]) / checkpoint.sam2_config).is_file()
    assert "not for diagnosis" in checkpoint.notice


MEDSAM2 = ("latest", "2411", "CTLesion", "MRI_LiverLesion", "US_Heart")  # as its repository names them


@pytest.mark.parametrize("published", MEDSAM2)
def test_every_file_of_medsam2_is_read_under_its_name_and_as_a_file(folder, tmp_path, published):
    file = tmp_path / f"MedSAM2_{published}.pt"
    file.symlink_to(folder / "sam2.1_hiera_tiny.pt")
    name = next(n for n, c in hub_checkpoints.SAM2.items() if c.files == (file.name,))
    for option, checkpoints in ((name, tmp_path), (str(file), None)):
        config, found = medvl.model.sam2_source(option, checkpoints)
        assert (found, config.weights, config.image_size) == (tmp_path, file.stem, 512)
        net = Sam2(replace(config, image_size=128), found, torch.device("cpu"))
        assert net.has_memory


def test_medsam2_tells_the_stricter_of_its_two_terms(folder, tmp_path):
    """Its tag alone would read as free for commercial use; the page shows what ``notices`` gives."""
    (tmp_path / "Med3DVLM-Qwen-2.5-7B").symlink_to(folder / "Med3DVLM-Qwen-2.5-7B")
    (tmp_path / "MedSAM2_latest.pt").symlink_to(folder / "sam2.1_hiera_tiny.pt")
    model = medvl.load("7b", device="cpu", quantization="none", sam2="medsam2", checkpoints=tmp_path)
    told = "\n".join(model.notices())
    for said in ("wanglab/MedSAM2", "CC-BY-SA-4.0", "only be used for research and education purposes", "not for diag"):
        assert said in told
    assert model.config.segmenter.image_size == 512
