"""Language models that plan and word, without a picture."""

from __future__ import annotations

import threading

import torch

from medvl.networks.chat import LocalChat, open_planner, open_reader
from medvl.networks.image_text import ImageTextModel
from medvl.networks.openai_server import OpenAIServer

from ..chat_server import ChatServer
from ..tiny_checkpoints import write_language_model
from ..tiny_image_text import write

CPU = torch.device("cpu")
SYSTEM = ("system", "the liver is large and the spleen is normal . what is seen ?")


def test_a_local_model_answers_in_its_template_and_reads_what_is_common_once(tmp_path):
    original = write_language_model(tmp_path, max_position_embeddings=1024)
    planner = open_planner(str(tmp_path), CPU, "none")
    turns = [SYSTEM, ("user", "where is it ?")]
    ids = planner.lm.chat(turns)
    with torch.inference_mode():
        theirs = original.generate(torch.tensor([ids]), max_new_tokens=8, do_sample=False)[0, len(ids) :]
    said = "".join(planner.chat(turns, 8))
    assert said.split() == planner.lm.tokenizer.decode(theirs).partition("<|im_end|>")[0].split()
    assert planner._cache.prefilled == len(ids)
    fresh = "".join(LocalChat(planner.lm, "x").chat([SYSTEM, ("user", "what size is it ?")], 8))
    assert "".join(planner.chat([SYSTEM, ("user", "what size is it ?")], 8)) == fresh
    assert planner._cache.prefilled < 14  # the system's words are not read again
    cancel = threading.Event()
    stream = planner.chat(turns, 50, cancel)
    next(stream)
    cancel.set()
    assert list(stream) == []
    assert "float32" in planner.notice


def test_options_name_a_folder_or_a_server(tmp_path):
    write(tmp_path, "qwen3_vl")
    assert isinstance(open_reader(str(tmp_path), CPU, "none"), ImageTextModel)
    server = ChatServer()
    try:
        for opened in (open_reader(server.url, CPU), open_planner(f"{server.url}#medgemma-4b", CPU)):
            assert isinstance(opened, OpenAIServer)
            assert opened.name == "medgemma-4b on 127.0.0.1"
            assert server.url in opened.notice
    finally:
        server.close()
