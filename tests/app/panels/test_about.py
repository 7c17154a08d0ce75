from __future__ import annotations

from types import SimpleNamespace

import torch

from app.handlers import Handlers
from app.panels.about import about_value, footer
from app.scans import SampleShelf
from app.sessions import SessionStore
from app.ui import build
from medvl.weights.quantization import Precision

from ..stand_in import StandInModel

LINE = "Language model: <b>4-bit</b> NF4: about 5.0 GB of 16.0 GB free."


class Speaking(StandInModel):
    """The stand-in with a language model's notices."""

    weights = ("Med3DVLM-Qwen-2.5-7B", "SAM 2.1 hiera-large", "bundled localiser")
    vlm = SimpleNamespace(lm=SimpleNamespace(precision=Precision("4bit", torch.bfloat16, "")))

    def notices(self):
        return [LINE]


def test_notices_device_precision_and_memory_are_told(shelf_folder):
    handlers = Handlers(Speaking(), SessionStore(), SampleShelf(shelf_folder))
    list(handlers.open_default("a"))
    value = about_value(handlers.model, "7b", handlers.store, "a")
    rows = dict(value["rows"])
    assert rows["Preset"] == "7b"
    assert rows["Device"] == "CPU"
    assert rows["Language model"].startswith("4-bit NF4")
    assert "SAM 2.1 hiera-large" in rows["Weights"]
    assert float(rows["Memory of the program"].split()[0]) > 0
    assert "Memory of your scan" in rows
    assert "Memory of your scan" not in dict(about_value(handlers.model, "7b", handlers.store, "b")["rows"])
    assert value["notices"][0] == LINE
    handlers.store.shutdown()


def test_page_has_the_notices_as_data_and_not_as_markup(shelf_folder):
    handlers = Handlers(Speaking(), SessionStore(), SampleShelf(shelf_folder))
    demo = build(handlers, "7b")
    panel = next(b for b in demo.blocks.values() if getattr(b, "elem_id", None) == "about-panel")
    assert LINE in panel.value["notices"]
    assert all(LINE not in str(getattr(panel, name)) for name in ("html_template", "js_on_load"))
    handlers.store.shutdown()


def test_footer_tells_what_really_runs():
    line = footer(Speaking(), "7b")
    for said in ("not for diagnosis", "Preset 7b on CPU", "4-bit NF4", " in use", "SAM 2.1 hiera-large"):
        assert said in line
    assert "hiera-tiny" not in line
    plain = footer(StandInModel(), "/home/me/models/<mine>/")
    assert "Preset &lt;mine&gt; on CPU" in plain
    assert "/home/me" not in plain
    assert "float32" in plain


def test_footer_of_the_bundled_model(model):
    line = footer(model, "nano")
    for part in ("Preset nano on CPU", "float32", "SAM 2 hiera-tiny", "localiser"):
        assert part in line
    assert any("Apache-2.0" in notice and "not for diagnosis" in notice for notice in model.notices())


def test_footer_is_made_anew_when_the_page_is_opened(shelf_folder):
    handlers = Handlers(Speaking(), SessionStore(), SampleShelf(shelf_folder))
    demo = build(handlers, "7b")
    foot = next(b for b in demo.blocks.values() if getattr(b, "elem_id", None) == "foot")
    loads = [f for f in demo.fns.values() if any(event == "load" for _, event in f.targets) and f.outputs == [foot]]
    assert len(loads) == 1
    assert "Preset 7b" in loads[0].fn()
    handlers.store.shutdown()
