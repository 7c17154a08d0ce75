"""Long answers of a real checkpoint end by themselves and do not go round in a loop.

Set MEDVL_TEST_LANGUAGE_MODEL to its folder (a Qwen2.5 instruct model, for instance); it takes minutes on a CPU.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from medvl.networks.language_model import Conversation, LanguageModel, Prompt, loops

FOLDER = os.environ.get("MEDVL_TEST_LANGUAGE_MODEL")
MOST = 600
ASKED = (
    "Explain in eight short sentences how computed tomography makes an image.",
    "List ten things that a CT of the chest shows, one a line.",
)

pytestmark = pytest.mark.skipif(not FOLDER, reason="no folder of a real checkpoint is named")


@pytest.fixture(scope="module")
def lm():
    return LanguageModel.from_pretrained(Path(FOLDER), quantization="none")


def test_the_settings_of_the_files_are_read(lm):
    assert lm.model.generation_config.repetition_penalty > 1
    assert len(lm.stop_ids) > 1


@pytest.mark.parametrize("asked", ASKED)
def test_a_long_answer_ends(lm, asked, capsys):
    tokens = list(Conversation(lm).stream(Prompt(lm.chat([("user", asked)])), MOST))
    text, ids = "".join(t.text for t in tokens), [t.id for t in tokens]
    with capsys.disabled():
        print(f"\n{len(ids)} tokens: {text[:160]!r} ... {text[-80:]!r}")
    assert 60 < len(ids) < MOST  # neither cut off nor refused
    assert not loops(ids)
    lines = Counter(line.strip().lower() for line in text.splitlines() if len(line.strip()) > 12)
    assert max(lines.values(), default=0) < 3
