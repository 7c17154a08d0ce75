"""The package ``spaces`` itself, as on ZeroGPU: its decorator, its forked workers, its refusals. The GPU is the CPU."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

import medvl
from medvl.conversation.contract import Words
from medvl.errors import GpuError
from medvl.networks import lent, zero_gpu

from .. import talking

ROOT = Path(__file__).resolve().parents[3]
# In the worker ``spaces`` would bring the weights to a GPU; here they are put where its stand-in kept them.
CODE = """
import json, sys, threading
import spaces, spaces.zero.torch as zero
from spaces.zero.torch import patching

def move(callback=None):
    for fake, original in patching.cuda_aliases.items():
        fake.data = original

zero.init, zero.move = lambda uuid: None, move
from gradio.context import LocalContext
import medvl
from medvl.conversation.contract import Done, Words
from tests.medvl import talking

class Request:
    headers = type("Headers", (dict,), {})({"x-ip-token": "header.e30.signature"})

LocalContext.request.set(Request())
model = medvl.load(sys.argv[1])
print(json.dumps([str(model.device), str(model.vlm.lm.device), model.notices()]), flush=True)
ct, _ = talking.scan()
case = model.open(ct)

def ask(text, cancel=None):
    return [p for p in case.ask(text, cancel) if isinstance(p, (Words, Done))]

for line in sys.stdin:
    order = json.loads(line)
    if order["do"] == "ask":
        said = ask(order["text"])[-1].answer.sentences
        print(json.dumps([[s.text, s.source] for s in said]), flush=True)
    elif order["do"] == "stop":
        cancel, words = threading.Event(), []
        for piece in case.ask(order["text"], cancel):
            if isinstance(piece, Words) and piece.source == "model" and piece.text:
                words.append(piece.text)
                cancel.set()
        print(json.dumps([words, piece.stopped]), flush=True)
    elif order["do"] == "segment":
        mask = case.segment(points=[medvl.Point(tuple(order["at"]))])
        print(json.dumps([mask.voxels, case.encoder.encoded]), flush=True)
"""


class Lender(BaseHTTPRequestHandler):
    """ZeroGPU's scheduler, as far as ``spaces`` talks to it."""

    def do_POST(self):
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.server.asked.append((url.path, asked))
        answer, status = {}, 200
        if url.path == "/schedule" and self.server.spent:
            answer, status = {"left": 3, "wait": "PT3H12M"}, 429
        elif url.path == "/schedule":
            number = len(self.server.asked)
            answer = {"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": f"token-{number}"}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Authenticated", "regular")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def told(tmp_path_factory, model):
    return talking.write(tmp_path_factory.mktemp("talking"), model)


@pytest.fixture(scope="module")
def lender():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Lender)
    server.asked, server.spent = [], False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def zero_environment(lender) -> dict[str, str]:
    address = f"http://127.0.0.1:{lender.server_port}"
    return {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": address}


class Space:
    """A process as on ZeroGPU, with the model; ``first`` is what it said of it."""

    def __init__(self, folder, lender):
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", CODE, str(folder)],
            cwd=ROOT,
            # Two threads: a forked process that waited for its parent's would say nothing for ever.
            env=os.environ | zero_environment(lender) | {"HF_DEACTIVATE_ASYNC_LOAD": "1", "OMP_NUM_THREADS": "2"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.first = self._line()

    def end(self):
        """End it with its workers, which wait for more work."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def do(self, what, **order):
        self.process.stdin.write(json.dumps({"do": what, **order}) + "\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self):
        for line in self.process.stdout:
            if line.startswith("["):
                return json.loads(line)
        raise AssertionError("the process ended early")


@pytest.fixture(scope="module")
def space(told, lender):
    pytest.importorskip("spaces", reason="needs the package spaces (requirements-dev.txt)")
    space = Space(told.folder, lender)
    yield space
    space.end()


def schedules(lender) -> list[dict]:
    return [asked for path, asked in lender.asked if path == "/schedule"]


def test_as_on_zero_gpu_a_reading_is_that_of_the_cpu(space, told, lender):
    device, of_language, notices = space.first
    assert (device, of_language) == ("cpu", "cuda:0")  # what measures is here, what reads is on the lent GPU
    assert any("ZeroGPU" in line for line in notices)
    case = medvl.load(str(told.folder), device="cpu", quantization="none").open(told.ct)
    for question in (talking.SEEN, talking.THEN):
        own = list(case.ask(question))[-1].answer.sentences
        assert space.do("ask", text=question) == [[s.text, s.source] for s in own]
    case.close()
    seconds = [int(asked["durationSeconds"]) for asked in schedules(lender)]
    assert len(seconds) == 4  # the volume once, each answer, and slices for a mask that the model points to
    assert all(0 < s <= 60 for s in seconds)
    assert all(asked["token"] for asked in schedules(lender))  # whose quota it is
    assert len([1 for path, _ in lender.asked if path == "/release"]) == len(seconds)


def test_a_stop_leaves_the_worker_free(space, lender):
    words, stopped = space.do("stop", text=talking.SEEN)
    assert (len(words), stopped) == (1, True)
    assert "model" in [source for _, source in space.do("ask", text=talking.THEN)]
    paths = [path for path, _ in lender.asked]
    assert paths.count("/release") == paths.count("/schedule")


def test_where_the_time_is_used_up_what_is_measured_goes_on(space, told, lender):
    lender.spent = True
    before = len(schedules(lender))
    try:
        text, source = space.do("ask", text=talking.SEEN)[-1]
        assert len(schedules(lender)) == before + 1
        assert source == "program"
        assert text == (
            "Your share of this Space's GPU time is used up. What is measured goes on, on the CPU; only what a "
            "language model reads or words has to wait. More comes in 3:12:00 (hours:minutes:seconds)."
        )
        low, high = talking.LIVER
        voxels, encoded = space.do("segment", at=[(a + b) // 2 for a, b in zip(low, high, strict=True)])
        assert voxels > 50
        assert encoded > 1
    finally:
        lender.spent = False


def test_the_app_starts_as_a_space_from_the_folder_as_it_is(lender, tmp_path):
    """With options from the environment, as a Space gives them; what is for the GPU is told to the scheduler."""
    pytest.importorskip("spaces", reason="needs the package spaces (requirements-dev.txt)")
    from ...benchmarks.server import _free_port

    port = _free_port()
    own = {"SPACE_ID": "somebody/medvl", "MEDVL_PRESET": "nano", "MEDVL_PORT": str(port), "TMPDIR": str(tmp_path)}
    own |= {"ZEROGPU_OFFLOAD_DIR": str(tmp_path / "tensors")}
    environment = os.environ | zero_environment(lender) | own
    environment.pop("GRADIO_TEMP_DIR", None)
    command = [sys.executable, "-u", "app.py"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if "MedVL-SAM2 is at" in line:
                    break
            assert any("ZeroGPU" in line for line in said)
            page = httpx.get(f"http://127.0.0.1:{port}/", headers={"Host": "somebody-medvl.hf.space"})
            assert page.status_code == 200
            assert "huggingface.co" in page.headers["content-security-policy"]  # it may be shown in the Space's frame
        finally:
            process.terminate()
    assert ("/startup-report", {}) in lender.asked
    assert list((tmp_path / "tensors").iterdir())  # weights that the workers take


def test_the_front_matter_is_what_a_space_takes():
    import gradio
    import yaml
    from packaging.requirements import Requirement
    from packaging.version import Version

    front = yaml.safe_load((ROOT / "README.md").read_text().split("---")[1])
    assert front["sdk"] == "gradio"
    assert Version(front["sdk_version"]) >= Version("6.19")
    assert Version(gradio.__version__).major == Version(front["sdk_version"]).major
    assert front["python_version"] in ("3.12.12", "3.10.13")  # those of ZeroGPU
    assert front["suggested_hardware"] == "zero-a10g"  # the name that ZeroGPU has kept
    assert front["startup_duration_timeout"] == "1h"
    assert (ROOT / front["app_file"]).is_file()
    assert len(front["short_description"]) <= 60
    own = dict(re.findall(r"(torch\w*)==([\d.]+)", (ROOT / "README.md").read_text()))  # for ZeroGPU to install
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = {r.name: r for r in (Requirement(line) for line in lines if line and line[0] != "#")}
    assert set(own) == {"torch", "torchvision"}
    assert all(version in wanted[name].specifier for name, version in own.items())


# ---- without the package


def test_elsewhere_the_decorator_changes_nothing(monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)

    def function():
        return 1

    assert zero_gpu.lent(10)(function) is function
    assert not zero_gpu.on_zero_gpu()
    assert inspect.isgeneratorfunction(lent.answer)


class RefusedError(Exception):
    def __init__(self, title, message):
        self.title, self.message = title, message
        super().__init__(message)


@pytest.mark.parametrize(
    ("title", "message", "said"),
    [
        ("ZeroGPU quota exceeded", "... Try again in 1 day, 0:10:00. ", "used up.*in 1 day, 0:10:00"),
        ("ZeroGPU quota exceeded", "Space app has reached its GPU limit.", "used up.*within a day"),
        ("ZeroGPU pending credits exceeded", "You have too many", "used up"),
        ("ZeroGPU quota exceeded", "No GPU was available after 60s. Try", "No GPU is free"),
        ("ZeroGPU queue timeout", "No GPU was available after 60s", "No GPU is free"),
        ("ZeroGPU client error", "No GPU was available", "No GPU is free"),
        ("ZeroGPU worker error", "OutOfMemoryError", r"ended early \(OutOfMemoryError\)"),
    ],
)
def test_refusals_in_plain_words(title, message, said):
    def stream():
        yield 1
        raise RefusedError(title, message)

    pieces = zero_gpu._told(stream)()
    assert next(pieces) == 1
    with pytest.raises(GpuError, match=said) as told:
        next(pieces)
    assert "goes on, on the CPU" in str(told.value)


def test_errors_of_this_package_come_back_whole():
    def call():
        raise medvl.WeightsError("The prompt has 3 placeholders.")

    def stream():
        yield 1
        raise medvl.WeightsError("The prompt has 3 placeholders.")

    with pytest.raises(medvl.WeightsError, match="3 placeholders"):
        zero_gpu._told(zero_gpu._carried(call))()
    pieces = zero_gpu._told(zero_gpu._carried(stream))()
    assert next(pieces) == 1
    with pytest.raises(medvl.WeightsError, match="3 placeholders"):
        next(pieces)
    with pytest.raises(ZeroDivisionError):
        zero_gpu._told(lambda: 1 // 0)()


def test_words_of_a_refusal_are_shown_as_the_programs(told, monkeypatch):
    """In the chat: the answer does not fail, what was measured stays, the reason stands behind it."""
    case = medvl.load(str(told.folder), device="cpu", quantization="none").open(told.ct)

    def refused(*_, **__):
        raise GpuError("No GPU is free in this Space now.")
        yield

    monkeypatch.setattr(case.reader, "read", refused)
    pieces = list(case.ask(talking.SEEN))
    assert pieces[-1].answer.sentences[-1].text == "No GPU is free in this Space now."
    assert not pieces[-1].stopped
    assert [p.source for p in pieces if isinstance(p, Words)][-1] == "program"
    case.close()
