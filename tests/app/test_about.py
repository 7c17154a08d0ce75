from __future__ import annotations

from types import SimpleNamespace

import torch

from app.about import about_value
from app.handlers import Handlers
from app.scans import SampleShelf
from app.sessions import SessionStore
from app.ui import build
from medvl.quantization import Precision

from .stand_in import StandInModel

LINE = "Language model: <b>4-bit</b> NF4: about 5.0 GB of 16.0 GB free."


class Speaking(StandInModel):
    """The stand-in with a language model's notices."""

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
