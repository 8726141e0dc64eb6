"""The model type under lm-eval itself (extra `eval`): a task of its own, written here, on a small random model."""

from __future__ import annotations

import json

import pytest
import torch
from tokenprune import FTPConfig, Scored, TokenPruner, tiny_model

lm_eval = pytest.importorskip("lm_eval")

TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: {kind}
doc_to_text: "{{{{question}}}}"
{more}
"""
ROWS = [{"question": f"A question of some length, number {i}:", "choices": ["yes", "no"], "label": i % 2}
        for i in range(4)]  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    import tokenprune.lm_eval  # noqa: F401  (registers the model type)
    from lm_eval.tasks import TaskManager

    home = tmp_path_factory.mktemp("lm-eval")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_DATASETS_CACHE", str(home / "cache"))
        patch.setattr("datasets.config.HF_DATASETS_CACHE", home / "cache")
        (home / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        choice = 'doc_to_choice: "{{choices}}"\ndoc_to_target: "{{label}}"'
        said = 'doc_to_target: "yes"\ngeneration_kwargs: {max_gen_toks: 4, until: ["#"]}'
        kinds = {"multiple_choice": choice, "generate_until": said}
        for kind, more in kinds.items():
            words = TASK.format(name=f"house_{kind}", data=home / "rows.jsonl", kind=kind, more=more)
            (home / f"{kind}.yaml").write_text(words)
        TokenPruner(tiny_model(), FTPConfig(router="static"), (0.0, 0.5, 0.6, 0.5)).save_pretrained(home / "pruner")
        tasks = TaskManager(include_path=str(home), include_defaults=False)
        names = [f"house_{kind}" for kind in kinds]
        return home, lm_eval.simple_evaluate(
            model="tokenprune", model_args=f"pretrained=tiny,pruner={home / 'pruner'}", tasks=names, task_manager=tasks,
            bootstrap_iters=0, log_samples=True, batch_size=2,
        )  # fmt: skip


def test_its_registry_knows_the_model_type():
    import tokenprune.lm_eval as ours
    from lm_eval.api.registry import get_model

    assert get_model("tokenprune") is ours.TokenPruneLM


def test_multiple_choice_is_scored_as_the_executor_does(results):
    home, found = results
    executor = TokenPruner.from_pretrained(home / "pruner", tiny_model()).executor()
    for sample in found["samples"]["house_multiple_choice"]:
        for request, answer in zip(sample["arguments"], sample["filtered_resps"], strict=True):
            context, continuation = request[:2]
            ids, count = torch.tensor([list((context + continuation).encode())]), len(continuation.encode())
            logits, _ = Scored([ids[0]], [count]).decoded(executor)
            expected = logits.log_softmax(-1).gather(1, ids[0, -count:, None]).sum()
            assert float(answer[0]) == pytest.approx(float(expected), abs=1e-3)
    assert 0 <= found["results"]["house_multiple_choice"]["acc,none"] <= 1


def test_it_generates_up_to_the_tokens_asked_for(results):
    _, found = results
    said = [sample["resps"][0][0] for sample in found["samples"]["house_generate_until"]]
    assert len(said) == len(ROWS)
    assert all(len(one) <= 4 and "#" not in one for one in said)
