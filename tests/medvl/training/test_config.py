from __future__ import annotations

import json
from pathlib import Path

import pytest

from medvl.errors import ConfigError
from medvl.training.config import STAGES, as_dict, parse, read_config

EXAMPLES = Path(__file__).resolve().parents[3] / "assets" / "training"


@pytest.mark.parametrize("stage", STAGES)
def test_examples_are_read_and_survive_a_round_trip(stage, tmp_path):
    config = read_config(EXAMPLES / f"{stage}.yaml")
    assert config.data.train
    (tmp_path / "again.json").write_text(json.dumps(as_dict(config)))
    assert read_config(tmp_path / "again.json") == config


def test_unknown_keys_and_wrong_values_are_named():
    raw = {"output": "x", "optimiser": {"lerning_rate": 1, "steps": "many"}, "data": {"train": [{"kind": "cases"}]}}
    with pytest.raises(ConfigError) as error:
        parse(raw)
    for said in ("unknown key optimiser.lerning_rate", "optimiser.steps", "data.train.0.root"):
        assert said in str(error.value)
    with pytest.raises(ConfigError, match="cache"):
        parse({"output": "x", "data": {"cache": True}})


def test_files_that_are_none(tmp_path):
    with pytest.raises(ConfigError, match="no configuration file"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="not YAML"):
        read_config(tmp_path / "bad.yaml")
