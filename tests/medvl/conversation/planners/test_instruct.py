"""A language model as planner: what it says is held to the calls, and what is no call is left to the next planner."""

from __future__ import annotations

import json
import re
import threading
import time

import pytest
import torch

from medvl.conversation.planners.instruct import EXAMPLES, MOST_CALLS, InstructPlanner, answer_schema, prompt, read
from medvl.conversation.state import State, Turn
from medvl.errors import CallError, WeightsError
from medvl.language.calls import TOOLS, Measure, Segment
from medvl.language.calls.schema import examples, from_dict, to_dict
from medvl.networks.chat import open_planner
from medvl.networks.openai_server import OpenAIServer
from medvl.training.talk.corpus import generated

from ...chat_server import ChatServer
from ...tiny_checkpoints import write_language_model

SPLEEN = '{"calls": [{"tool": "measure", "what": "volume", "of": ["spleen"]}]}'


class Says:
    """A model that says what it is told to, one answer a request."""

    name = "parrot"

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[list[tuple[str, str]]] = []
        self.pieces = 0

    def chat(self, turns, max_new_tokens=512, cancel=None, schema=None):
        self.asked.append(list(turns))
        for character in self.answers[len(self.asked) - 1]:
            if cancel is not None and cancel.is_set():
                return
            self.pieces += 1
            yield character


def test_an_answer_becomes_calls():
    model = Says(SPLEEN + " and then some talk that nobody wants")
    assert InstructPlanner(model).plan("how big is the spleen", State()) == (Measure(("spleen",)),)
    assert model.pieces == len(SPLEEN)  # what comes after the JSON is not waited for


def test_talk_instead_of_json_is_not_waited_for():
    talk = "I am afraid that valuations are not something that I can help with. " * 20
    model = Says(talk, f"Sure, here is the plan: ```json\n{SPLEEN}")
    assert InstructPlanner(model).plan("how big is the spleen", State()) == (Measure(("spleen",)),)
    assert model.pieces < 0.2 * len(talk) + len(SPLEEN) + 40


@pytest.mark.parametrize(
    "bad",
    ["I cannot do that.", '{"calls": [{"tool": "fly"}]}', '{"calls": [{"tool": "measure", "of": ["flux"]}]}',
     '{"calls": []}', "[" * 900, '{"calls": [{"tool": "measure", "of": ["left_kidney"]}]}', '{"calls": [7]}', ""],
)  # fmt: skip
def test_what_is_no_plan_is_asked_for_once_more_and_then_left(bad):
    model = Says(bad, SPLEEN)
    assert InstructPlanner(model).plan("how big is the spleen", State()) == (Measure(("spleen",)),)
    assert [role for role, _ in model.asked[1]][-3:] == ["user", "assistant", "user"]
    assert InstructPlanner(Says(bad, bad)).plan("how big is the spleen", State()) is None


def test_it_is_shown_the_turns_before_and_one_prompt_for_all_messages():
    model = Says(SPLEEN)
    state = State([Turn("outline both kidneys", (Segment(("right_kidney", "left_kidney")),))])
    InstructPlanner(model).plan("and the spleen?", state)
    (system, *turns) = model.asked[0]
    assert system == ("system", prompt())
    assert {role for role, _ in turns[: 2 * EXAMPLES : 2]} == {"user"}
    turns = turns[2 * EXAMPLES :]
    assert turns[0] == ("user", "outline both kidneys")
    assert json.loads(turns[1][1]) == {"calls": [{"tool": "segment", "of": ["kidneys"]}]}
    assert turns[2] == ("user", "and the spleen?")


def test_a_message_of_any_length_is_shown_cut():
    model = Says(SPLEEN)
    InstructPlanner(model).plan("spleen " * 50_000, State())
    assert sum(len(text) for _, text in model.asked[0]) < 20_000


def test_every_call_can_be_said_and_read_back():
    for tool, kind in TOOLS.items():
        for _, text in examples(kind):
            call = from_dict(json.loads(text))
            assert read(f"Sure!\n```json\n{json.dumps({'calls': [to_dict(call)]})}\n```") == (call,), tool
    with pytest.raises(CallError, match="not JSON"):
        read('{"calls": [')


def fits(value, schema, root):
    """Whether a value fits, of what JSON schema offers the part that the answer's schema uses."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return any(fits(value, option, root) for option in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kind = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": int | float}
    if not isinstance(value, kind[schema["type"]]):
        return False
    if schema["type"] == "object":
        known = schema["properties"]
        return (
            all(name in value for name in schema["required"])
            and set(value) <= set(known)
            and all(fits(part, known[name], root) for name, part in value.items())
        )
    if schema["type"] == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
        return least <= len(value) <= most and all(fits(part, schema["items"], root) for part in value)
    return "pattern" not in schema or re.search(schema["pattern"], value) is not None


def test_the_schema_takes_every_call_and_nothing_else():
    schema = answer_schema()
    for example in generated(seed=2, per_template=1):
        said = {"calls": [to_dict(call) for call in example.calls[:MOST_CALLS]]}
        assert fits(said, schema, schema), said
    wrong = [{"tool": "fly"}, {"tool": "measure", "of": ["flux"]}, {"tool": "measure", "flavour": "sweet"}, {}]
    for answer in ({}, {"calls": []}, *({"calls": [call]} for call in wrong)):
        assert not fits(answer, schema, schema)


def test_a_server_is_held_to_the_schema_and_a_dead_one_says_so():
    server = ChatServer(SPLEEN)
    try:
        planner = InstructPlanner(OpenAIServer(server.url))
        assert planner.plan("how big is the spleen", State()) == (Measure(("spleen",)),)
        assert server.asked[0]["response_format"]["json_schema"]["schema"] == answer_schema()
    finally:
        server.close()
    with pytest.raises(WeightsError):
        planner.plan("how big is the spleen", State())


def test_a_stop_ends_the_words_of_a_server():
    server = ChatServer("no " * 400, pause_s=0.05)
    try:
        planner, cancel = InstructPlanner(OpenAIServer(server.url)), threading.Event()
        threading.Timer(0.4, cancel.set).start()
        begin = time.perf_counter()
        assert planner.plan("how big is the spleen", State(), cancel) is None
        assert time.perf_counter() - begin < 15  # all its words take 20 s
        assert server.sent < 300
        assert len(server.asked) == 1  # and nothing is asked again
    finally:
        server.close()


def test_a_stop_acts_within_one_token():
    cancel = threading.Event()

    class Slow(Says):
        def chat(self, turns, max_new_tokens=512, cancel=None, schema=None):
            for piece in super().chat(turns, max_new_tokens, cancel, schema):
                if self.pieces == 10:
                    cancel.set()
                yield piece

    model = Slow("x" * 200, SPLEEN)
    assert InstructPlanner(model).plan("how big is the spleen", State(), cancel) is None
    assert model.pieces == 10


def test_a_random_model_of_this_machine_has_no_plan_or_a_sound_one(tmp_path):
    write_language_model(tmp_path, max_position_embeddings=8192)
    planner = InstructPlanner(open_planner(str(tmp_path), torch.device("cpu"), "none"))
    plan = planner.plan("how big is the spleen", State())
    assert plan is None or all(isinstance(call, tuple(TOOLS.values())) for call in plan)
