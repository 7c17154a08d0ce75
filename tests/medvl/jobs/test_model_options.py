"""Options that say which model is loaded and where it goes."""

from __future__ import annotations

import argparse
import json

import pytest

import medvl
from medvl.jobs.model_options import add_model_options, load_options

from ..tiny_checkpoints import vision_language_model, write_model_folder


def read(*arguments: str) -> dict:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_model_options(parser)
    return load_options(parser.parse_args(arguments))


def test_without_options_it_is_the_bundled_model_wherever_it_fits():
    assert read() == {
        "name": "nano", "device": "auto", "quantization": "auto", "sam2": "sam2.1-tiny", "checkpoints": None,
        "device_map": "auto", "max_memory": None, "sam2_size": "auto", "reader": None, "planner": None,
    }  # fmt: skip


def test_options_are_environment_variables_too(monkeypatch):
    monkeypatch.setenv("MEDVL_READER", "http://localhost:8000/v1#medgemma")
    monkeypatch.setenv("MEDVL_SAM2_SIZE", "1024")
    monkeypatch.setenv("MEDVL_MAX_MEMORY", "0=10GB cpu=32GB")
    given = read("--sam2-size", "256")
    assert given["reader"] == "http://localhost:8000/v1#medgemma"
    assert given["max_memory"] == {0: 10**10, "cpu": 32 * 10**9}
    assert (read()["sam2_size"], given["sam2_size"]) == ("1024", "256")  # what is typed counts more
    for name, value in (("SAM2_SIZE", "77"), ("DEVICE_MAP", "balanced")):
        monkeypatch.setenv(f"MEDVL_{name}", value)
        with pytest.raises(SystemExit, match=f"MEDVL_{name}"):
            read()
        monkeypatch.delenv(f"MEDVL_{name}")


def test_a_map_is_json_or_a_file(tmp_path):
    wanted = {"model.layers.0": 1, "model.layers.1": "disk", "": "cpu"}
    text = json.dumps(wanted | {"model.layers.0": "1"})
    (tmp_path / "map.json").write_text(text)
    for given in (text, str(tmp_path / "map.json")):
        assert read("--device-map", given)["device_map"] == wanted
    assert read("--device-map", "single")["device_map"] == "single"


@pytest.mark.parametrize(
    ("text", "bytes_"), [("0=10GB", 10**10), ("0=1.5 GiB", 3 * 2**29), ("0=700mb", 7 * 10**8), ("0=12345", 12345)]
)
def test_sizes(text, bytes_):
    assert read("--max-memory", text, "cpu=1TB")["max_memory"] == {0: bytes_, "cpu": 10**12}


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--device-map", "balanced", "neither auto nor single"),
        ("--device-map", "nowhere.json", "nor a .json file"),
        ("--device-map", "{", "not JSON"),
        ("--device-map", "{}", "place of each module"),
        ("--device-map", '{"": "gpu"}', "'gpu' is no place"),
        ("--device-map", '{"": true}', "True is no place"),
        ("--max-memory", "10GB", "not PLACE=SIZE"),
        ("--max-memory", "0=lots", "not PLACE=SIZE"),
        ("--max-memory", "0=10XB", "not PLACE=SIZE"),
        ("--max-memory", "disk=1GB", "'disk' is no place"),
    ],
)
def test_a_bad_value_is_explained(option, value, said):
    with pytest.raises(argparse.ArgumentError, match=said):
        read(option, value)


def test_the_model_goes_where_it_was_told(model, tmp_path):
    write_model_folder(tmp_path, model, vision_language_model())
    options = ("--preset", str(tmp_path), "--device", "cpu", "--quantization", "none")
    loaded = medvl.load(**read(*options, "--device-map", '{"": "cpu"}', "--max-memory", "cpu=2GB"))
    assert "of 2.0 GB that may be used on cpu" in loaded.vlm.lm.precision.reason
    with pytest.raises(medvl.WeightsError, match="max_memory takes bytes for cpu"):
        medvl.load(**read(*options, "--max-memory", "3=2GB"))
