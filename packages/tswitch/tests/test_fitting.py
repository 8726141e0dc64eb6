"""Knobs fitted on inputs without labels: closer outputs, the same codes, the same result after a kill."""

from __future__ import annotations

import copy
import gzip

import pytest
import torch
import transformers as hf
from ninefold.errors import InputError
from safetensors.torch import save_file
from tswitch import FitConfig, Switch, compress_fitted, fit_knobs
from tswitch.fitting._inputs import live_model, read_arrays, read_texts
from tswitch.fitting._knobs import _Knobs, _Reading

SHAPE = {"vocab_size": 60, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def tiny(kind, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(hf.BertConfig(**SHAPE, **options)).eval()


@pytest.fixture
def pair():
    """A base encoder, and a fine-tuned classifier whose changes have unequal sizes, so that rules by norm are off."""
    base, tuned = tiny(hf.BertModel), tiny(hf.BertForSequenceClassification, 1, num_labels=4)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        tuned.classifier.weight.normal_(std=1.0, generator=generator)
        for name, value in tuned.bert.named_parameters():
            step = torch.randn(value.shape, generator=generator)
            value.copy_(dict(base.named_parameters())[name] + 0.05 * step * step.abs())
    return base, tuned


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(1, 60, (48, 7), generator=generator)
    return [
        {"input_ids": ids[at : at + 16], "attention_mask": torch.ones(16, 7, dtype=torch.int64)} for at in (0, 16, 32)
    ]


def divergence(switch, base, tuned, batches):
    live = copy.deepcopy(tuned).requires_grad_(requires_grad=False)
    readings = [_Reading.of(tuned(**batch), batch, [0]) for batch in batches]
    knobs = _Knobs(switch, base_checkpoint(base), live)
    knobs.set(torch.zeros(len(switch.names)))
    knobs.close()
    with torch.no_grad():
        return sum(float(one.divergence(live(**batch))) for one, batch in zip(readings, batches, strict=True)) / 3


def base_checkpoint(base):
    from tswitch import Checkpoint

    return Checkpoint.of(base)


def test_fitted_knobs_are_closer_on_inputs_that_were_not_used(pair, batches):
    base, tuned = pair
    switch = Switch.from_checkpoints(base, tuned, alpha=0.9)
    fitted = fit_knobs(switch, base, copy.deepcopy(tuned), batches[:2], FitConfig(steps=30))
    other = [batches[2]] * 3
    assert divergence(fitted, base, tuned, other) < 0.7 * divergence(switch, base, tuned, other)
    before, after = fitted.config["fitted"]["divergence"]
    assert after < before
    assert before == pytest.approx(divergence(switch, base, tuned, [*batches[:2], batches[0]]), rel=0.5)
    assert fitted.config["fitted"]["inputs"] == 32
    for name in switch.names:
        assert torch.equal(switch.packed(name), fitted.packed(name))
    assert fitted.nbytes < switch.nbytes + 400


def test_the_gradient_of_a_knob_is_that_of_the_outputs(pair, batches):
    base, tuned = pair
    switch = Switch.from_checkpoints(base, tuned, alpha=0.9)
    live = copy.deepcopy(tuned).double().requires_grad_(requires_grad=False)
    wanted = _Reading.of(copy.deepcopy(live)(**batches[0]), batches[0], [0])
    knobs = _Knobs(switch, base_checkpoint(base), live.float())
    theta = torch.zeros(len(switch.names))
    knobs.set(theta)
    wanted.divergence(live(**batches[0])).backward()
    gradient = knobs.gradient()
    place = int(gradient.abs().argmax())
    moved = []
    for step in (0.02, -0.02):
        theta[place] = step
        knobs.set(theta)
        moved.append(float(wanted.divergence(live(**batches[0])).detach()))
    assert (moved[0] - moved[1]) / 0.04 == pytest.approx(float(gradient[place]), rel=0.05)
    assert all(parameter.grad is None for parameter in live.parameters())
    knobs.close()


def test_a_killed_fit_goes_on_to_the_same_knobs(pair, batches, tmp_path):
    base, tuned = pair
    switch = Switch.from_checkpoints(base, tuned, alpha=0.9)
    config = FitConfig(steps=8, save_every=3)
    whole = fit_knobs(switch, base, copy.deepcopy(tuned), batches, config)

    class KilledError(Exception):
        pass

    seen = []

    def kill(steps):
        seen.append(steps)
        if len(seen) == 5:
            raise KilledError

    state = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        fit_knobs(switch, base, copy.deepcopy(tuned), batches, config, state=state, key="k", progress=kill)
    seen.clear()
    again = fit_knobs(switch, base, copy.deepcopy(tuned), batches, config, state=state, key="k", progress=seen.append)
    assert seen == [3, 1, 1, 1, 1, 1]
    assert [t.scale for t in again.tensors.values()] == [t.scale for t in whole.tensors.values()]
    other = fit_knobs(switch, base, copy.deepcopy(tuned), batches, FitConfig(steps=8, seed=1))
    assert [t.scale for t in other.tensors.values()] != [t.scale for t in whole.tensors.values()]
    with pytest.raises(Exception, match="belongs to a fit of other inputs"):
        fit_knobs(switch, base, copy.deepcopy(tuned), batches, config, state=state, key="else")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (hf.BertForTokenClassification, "logits"),
        (hf.BertForQuestionAnswering, "start_logits"),
        (hf.BertModel, "hidden"),
    ],
)
def test_every_kind_of_output_is_compared(kind, expected, batches):
    base, tuned = tiny(hf.BertModel), tiny(kind, 1)
    switch = Switch.from_checkpoints(base, tuned, alpha=0.5)
    fitted = fit_knobs(switch, base, tuned, batches, FitConfig(steps=6))
    before, after = fitted.config["fitted"]["divergence"]
    assert 0 < after < before, expected


def test_folders_and_files_of_texts_are_fitted_whole(pair, batches, tmp_path):
    base, tuned = pair
    base.save_pretrained(tmp_path / "base")
    tuned.save_pretrained(tmp_path / "tuned")
    save_file({"input_ids": torch.cat([batch["input_ids"] for batch in batches])}, tmp_path / "inputs.safetensors")
    options = {"alpha": 0.9, "config": FitConfig(steps=6)}
    made = compress_fitted(
        tmp_path / "base", tmp_path / "tuned", tmp_path / "out", tmp_path / "inputs.safetensors", **options
    )
    assert made.path == tmp_path / "out"
    assert made.config["scale"] == "fitted"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    (tmp_path / "texts.txt").write_text("one\n\n two \n")
    with pytest.raises(InputError, match="no tokenizer"):
        compress_fitted(tmp_path / "base", tmp_path / "tuned", tmp_path / "other", tmp_path / "texts.txt", **options)
    model, encode = live_model(tmp_path / "tuned")
    assert encode is None
    assert type(model) is hf.BertForSequenceClassification


def test_texts_are_read_from_lines_and_columns(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\n two \n")
    assert read_texts(tmp_path / "a.txt") == ["one", "two"]
    with gzip.open(tmp_path / "b.csv.gz", "wt") as opened:
        opened.write('label,text\n1,"one, or more"\n2,two\n')
    assert read_texts(tmp_path / "b.csv.gz") == ["one, or more", "two"]
    (tmp_path / "c.csv").write_text("a,b\n1,2\n")
    (tmp_path / "d.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "e.txt").write_text("\n")
    for name, message in (
        ("c.csv", "a column `text`"),
        ("d.txt", "UTF-8"),
        ("e.txt", "no text"),
        ("f.pdf", "a file of"),
    ):
        with pytest.raises(InputError, match=message):
            read_texts(tmp_path / name)
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(3)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="one number of inputs"):
        read_arrays(tmp_path / "x.safetensors")


def test_no_inputs_and_other_models_are_refused(pair, batches):
    base, tuned = pair
    switch = Switch.from_checkpoints(base, tuned, alpha=0.9)
    with pytest.raises(InputError, match="got none"):
        fit_knobs(switch, base, tuned, [])
    with pytest.raises(InputError, match="other values in"):
        fit_knobs(switch, tiny(hf.BertModel, 9), tuned, batches)
    with pytest.raises(InputError, match="no parameters"):
        fit_knobs(switch, base, torch.nn.Sequential(torch.nn.Embedding(3, 2)), [torch.zeros(1, 1, dtype=torch.int64)])
    with pytest.raises(InputError, match="steps"):
        FitConfig(steps=0)
