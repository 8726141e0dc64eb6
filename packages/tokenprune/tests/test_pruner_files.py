"""A pruner's folder: what comes back, what is refused, and what it says was achieved."""

from __future__ import annotations

import json

import pytest
import torch
from ninefold.errors import ArtifactError
from tokenprune import FTPConfig, TokenPruner, tiny_model
from tokenprune.ftp import PublishedConfig, PublishedPruner
from tokenprune.pruner import _files
from tokenprune.pruner._base_model import base_of
from tokenprune.routers._observation_router import Observation

SCHEDULE = (0.0, 0.25, 0.6, 0.4)
GREEDY = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}


@pytest.mark.parametrize("config", [FTPConfig(), FTPConfig(router="static", protect=2), PublishedConfig(seed=3)])
def test_pruner_comes_back_from_disk_bit_for_bit(model, ids, tmp_path, config):
    kind = PublishedPruner if isinstance(config, PublishedConfig) else TokenPruner
    pruner = kind(model, config, SCHEDULE)
    pruner.history, pruner.metrics = [{"generation": 0, "fitness": 1.0}], {"kl": 0.5}
    pruner.save_pretrained(tmp_path / "p")
    again = kind.from_pretrained(tmp_path / "p", model)
    assert (again.config, again.schedule, again.history, again.metrics) == (
        pruner.config, pruner.schedule, pruner.history, pruner.metrics,
    )  # fmt: skip
    with torch.no_grad():
        assert torch.equal(again.executor().logits(ids)[0], pruner.executor().logits(ids)[0])
    assert json.loads((tmp_path / "p" / "ftp_config.json").read_text())["about"]["base"]["blocks"] == 4


@pytest.mark.parametrize(
    "gone", [{"gate": "argmax"}, {"decode": ["off"]}, {"skipped_kv": "project"}, {"router": "one_pass"}]
)
def test_folder_of_a_setting_that_is_no_more_is_refused(model, tmp_path, gone):
    pruner = TokenPruner(model, FTPConfig(router="static"))
    about = {"config": {**pruner.config.to_dict(), **gone}, "schedule": [0.3] * 4, "base": base_of(pruner.layout)}
    _files.write(tmp_path / "p", about, {}, [], {}, force=False)
    with pytest.raises(ArtifactError, match=next(iter(gone))):
        TokenPruner.from_pretrained(tmp_path / "p", model)


def test_the_training_free_pruner_says_who_reads_a_folder_of_the_published_one(model, tmp_path):
    PublishedPruner(model, PublishedConfig(), SCHEDULE).save_pretrained(tmp_path / "p")
    with pytest.raises(ArtifactError, match=r"ftp_config.json.*read it with tokenprune\.ftp\.PublishedPruner"):
        TokenPruner.from_pretrained(tmp_path / "p", model)


@pytest.mark.parametrize("name", ["lasting", "pooling"])
def test_a_folder_from_before_a_setting_that_changed_what_it_kept_is_refused(model, tmp_path, name):
    pruner = TokenPruner(model)
    about = {"config": pruner.config.to_dict(), "schedule": [0.3] * 4, "base": base_of(pruner.layout)}
    del about["config"]["observation"][name]
    _files.write(tmp_path / "p", about, {}, [], {}, force=False)
    with pytest.raises(ArtifactError, match=f"observation {name} is missing"):
        TokenPruner.from_pretrained(tmp_path / "p", model)
    assert FTPConfig(observation={"window": 6}) == FTPConfig(observation=Observation(window=6))


def test_pruner_of_another_model_is_refused(model, tmp_path):
    TokenPruner(model, FTPConfig()).save_pretrained(tmp_path / "p")
    with pytest.raises(ArtifactError, match="other weights"):
        TokenPruner.from_pretrained(tmp_path / "p", tiny_model(seed=9))
    with pytest.raises(ArtifactError, match="of 4 blocks; this model has 2"):
        TokenPruner.from_pretrained(tmp_path / "p", tiny_model(num_hidden_layers=2))
    with pytest.raises(ArtifactError, match="exists already"):
        TokenPruner(model, FTPConfig()).save_pretrained(tmp_path / "p")


def test_the_same_model_cast_is_taken_with_a_warning(model, ids, tmp_path):
    TokenPruner(model, FTPConfig(), SCHEDULE).save_pretrained(tmp_path / "p")
    cast = tiny_model(seed=1).bfloat16()
    with pytest.warns(UserWarning, match="in float32; this one is in bfloat16"):
        again = TokenPruner.from_pretrained(tmp_path / "p", cast)
    assert again.schedule == SCHEDULE
    assert again.executor().logits(ids)[0].dtype == torch.bfloat16
    with pytest.raises(ArtifactError, match="other weights"):
        TokenPruner.from_pretrained(tmp_path / "p", tiny_model(seed=1, vocab_size=300).bfloat16())
    packed = tiny_model(seed=1)
    packed.model.layers[0].mlp.up_proj.register_parameter(
        "codes", torch.nn.Parameter(torch.zeros(3, dtype=torch.uint8), requires_grad=False)
    )
    with pytest.warns(UserWarning, match="in packed numbers"):
        TokenPruner.from_pretrained(tmp_path / "p", packed)


def test_one_changed_weight_among_many_is_noticed(tmp_path):
    large = tiny_model(seed=1, hidden_size=256, intermediate_size=512)
    TokenPruner(large, FTPConfig(router="static"), SCHEDULE).save_pretrained(tmp_path / "p")
    with torch.no_grad():
        large.model.layers[2].mlp.up_proj.weight.view(-1)[1] += 1e-3
    with pytest.raises(ArtifactError, match="other weights"):
        TokenPruner.from_pretrained(tmp_path / "p", large)


def test_a_folder_keeps_the_share_that_was_measured(model, scored, tmp_path):
    pruner = TokenPruner(model, FTPConfig(protect=20), SCHEDULE)  # more than two blocks are to keep
    assert pruner.achieved_sparsity == sum(SCHEDULE) / 4
    measured = pruner.measure(scored)
    kept = pruner.executor().prefill(scored.start(pruner.executor())).kept
    assert measured == pytest.approx(1 - sum(map(sum, kept)) / (4 * 6 * 32))
    pruner.save_pretrained(tmp_path / "p")
    about = json.loads((tmp_path / "p" / "ftp_config.json").read_text())["about"]
    assert about["achieved_sparsity"] == about["measured_sparsity"] == measured
    again = TokenPruner.from_pretrained(tmp_path / "p", model)
    assert again.achieved_sparsity == measured
    again.set_sparsity(0.2)
    assert again.achieved_sparsity == pytest.approx(0.2)


def _without(about, *path):
    inner = about
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]


def _set(value, *path):
    def change(about):
        inner = about
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value

    return change


MALFORMED = [
    (lambda about: _without(about, "config"), "config is missing, expected an object"),
    (lambda about: _without(about, "schedule"), "schedule is missing"),
    (lambda about: _without(about, "base", "weights"), "base weights is missing"),
    (_set([], "config"), r"config holds \[\], expected an object"),
    (_set("half", "schedule"), "schedule holds 'half', expected a list"),
    (_set([0.1] * 3, "schedule"), "schedule of 3 blocks for 4"),
    (_set([0.1, 2.0, 0.1, 0.1], "schedule"), "schedule in block 1: got 2.0"),
    (_set([0.1, float("nan"), 0.1, 0.1], "schedule"), "schedule in block 1: got nan"),
    (_set(["x"] * 4, "schedule"), "schedule in block 0: got 'x'"),
    (_set("four", "base", "blocks"), "base blocks holds 'four'"),
    (_set(None, "base"), "base holds None"),
    (_set(3, "config", "observation", "lasting"), "observation lasting: got 3, expected True or False"),
    (_set("half", "config", "observation", "recent"), "observation recent: got 'half'"),
    (_set([1], "config", "observation"), r"observation holds \[1\], expected an object"),
    (_set(1, "config", "observation", "colour"), "observation colour is no setting"),
    (_set(1, "config", "colour"), "colour is no setting"),
    (_set(["dynamic"], "config", "router"), r"router: got \[.*expected one of"),
    (_set("magic", "config", "router"), r"router: got 'magic'.*expected one of"),
    (_set(10**13, "config", "protect"), "protect: got 10000000000000"),
    (_set("much", "config", "target_sparsity"), "target_sparsity: got 'much'"),
    (_set("much", "measured_sparsity"), "measured_sparsity holds 'much', expected a share or null"),
]
OF_A_NET = [
    (_set(10**13, "config", "hidden"), "hidden: got 10000000000000, expected a whole number from 1 to 4096"),
    (_set(2.5, "config", "hidden"), "hidden: got 2.5"),
    (_set(-1, "config", "seed"), "seed: got -1"),
    (_set([], "config", "router_start"), r"router_start: got \[\]"),
    (_set(32, "config", "hidden"), "is not the net of ftp_config.json's router"),
    (_set("observation", "config", "router"), "router: got 'observation'"),
]


@pytest.mark.parametrize(("kind", "change", "says"), [
    *((TokenPruner, *one) for one in MALFORMED), *((PublishedPruner, *one) for one in OF_A_NET)])  # fmt: skip
def test_a_malformed_folder_is_refused_with_its_file_and_field(model, tmp_path, kind, change, says):
    """Digests are right: someone wrote it so."""
    pruner = kind(model)
    about = {"config": pruner.config.to_dict(), "schedule": [0.3] * 4, "base": base_of(pruner.layout),
             "achieved_sparsity": 0.3, "measured_sparsity": None}  # fmt: skip
    change(about)
    net = {} if pruner.net is None else dict(pruner.net.state_dict())
    _files.write(tmp_path / "p", about, net, [], {}, force=False)
    with pytest.raises(ArtifactError, match=f"(?s)(ftp_config.json|router.safetensors).*{says}"):
        kind.from_pretrained(tmp_path / "p", model)


@pytest.mark.parametrize(
    ("name", "content"), [("search_history.jsonl", "[1]\n"), ("search_history.jsonl", "{\n"), ("metrics.json", "3")]
)
def test_histories_and_metrics_are_objects(model, tmp_path, monkeypatch, name, content):
    write = _files.write_folder

    def writes(folder, **about):
        class Folder:
            def __enter__(self):
                self.own = write(folder, **about)
                self.new = self.own.__enter__()
                return self.new

            def __exit__(self, *error):
                (self.new / name).write_text(content)
                return self.own.__exit__(*error)

        return Folder()

    monkeypatch.setattr(_files, "write_folder", writes)
    TokenPruner(model).save_pretrained(tmp_path / "p")
    with pytest.raises(ArtifactError, match=f"{name}: is (not a pruner's|damaged).*(it|line 1)"):
        TokenPruner.from_pretrained(tmp_path / "p", model)
