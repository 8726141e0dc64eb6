"""The seeded code: unbiased, in the bytes that were given, the same on every reading; damage is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ninefold.errors import ArtifactError, InputError
from torch import nn
from tswitch import Switch, SwitchBank, compress, export, fit_knobs
from tswitch.checkpoints._checkpoint import Checkpoint
from tswitch.coding import NEVER_CHANGES, Draw, SeededError, bytes_of, code, decode, encode, measure

SUMS = (-0.22349316922463913, 0.08398337517800483, 1239)  # of the sample: changes, their squares, kept entries
SHAPES = [(1, 1), (1, 700), (300, 1), (40, 60), (513, 129)]


def drawn(shape, seed=0, spread=1.0):
    draw = np.random.default_rng(seed)
    rows, columns = (np.exp(spread * draw.standard_normal(size)) for size in ((shape[0], 1), (1, shape[1])))
    return (1e-3 * draw.standard_normal(shape) * rows * columns).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rate", [0.0, 100.0, 3000.0, 1e12])
def test_a_code_is_read_the_same_and_keeps_what_the_seed_says(shape, rate):
    change, draw = drawn(shape), Draw(5, rate)
    about = measure(change)
    made, kept = encode(change, about, draw, "w")
    found = decode(made, shape, about.size, draw, "w")
    assert np.count_nonzero(found) <= kept <= change.size
    np.testing.assert_array_equal(found, decode(made, shape, about.size, draw, "w"))
    if rate > 1e8:  # all entries are kept: the error is half a step at most
        levels = about.rows[:, None].astype(int) + about.columns
        assert kept == change.size
        assert (np.abs(found - change) <= 1.5001 * about.size * 2.0**-levels + 1e-12).all()


def test_the_mean_over_seeds_is_the_change():
    change, seeds = drawn((20, 30), spread=0.5), 150
    about = measure(change)
    draws = [Draw(seed, 0.3 / about.size) for seed in range(seeds)]
    made = [decode(encode(change, about, draw, "w")[0], change.shape, about.size, draw, "w") for draw in draws]
    error, variance = np.mean(made, axis=0) - change, np.var(made, axis=0) / seeds
    weights = np.random.default_rng(1).standard_normal((200, *change.shape))
    scores = (weights * error).sum((1, 2)) / np.sqrt((weights**2 * variance).sum((1, 2)))
    assert 0.6 < np.abs(scores).mean() < 1.0  # 0.8 without a bias
    assert abs((np.mean(made, axis=0) * change).sum() / (change * change).sum() - 1) < 0.1


def test_rows_and_columns_that_do_not_change_stay_as_they_are():
    change = drawn((50, 20))
    change[7:30], change[:, 3] = 0, 0
    about = measure(change)
    assert (about.rows[7:30] == NEVER_CHANGES).all()
    draw = Draw(0, 1e12)
    found = decode(encode(change, about, draw, "w")[0], change.shape, about.size, draw, "w")
    assert not found[7:30].any()
    assert not found[:, 3].any()
    assert measure(np.zeros((3, 4), np.float32)).size == 0


@pytest.mark.parametrize("size", ["0.5%", "2%", "12%", "3KB", 5000])
def test_codes_have_the_bytes_that_were_given(size):
    changes = {"a": drawn((300, 200)), "b": drawn((1, 500), 1), "c": np.zeros((4, 5), np.float32)}
    most = bytes_of(size, sum(one.size for one in changes.values()))
    made = code(changes.__getitem__, changes, size, 0)
    used = sum(map(len, made.codes.values()))
    assert 0.9 * most <= used <= most
    assert set(made.codes) == {"a", "b"}


@pytest.mark.parametrize("size", ["", "0", "0%", "-1%", "101%", "x", "1 TB", "nan", "1e3MB"])
def test_sizes_that_are_none_are_refused(size):
    with pytest.raises(InputError, match="size: got"):
        bytes_of(size, 1000)


def test_a_size_without_room_for_a_symbol_says_what_is_needed():
    with pytest.raises(InputError, match=r"size: got 1 \(1 bytes\), expected at least .* bytes for 1 tensors"):
        code({"a": drawn((30, 20))}.__getitem__, ["a"], 1, 0)


def test_mutated_codes_are_refused_or_read_in_their_shape():
    change = drawn((40, 60))
    about = measure(change)
    how = Draw(0, 0.5 / about.size)
    made, _ = encode(change, about, how, "w")
    draw, refused = np.random.default_rng(0), 0
    for _ in range(400):
        bad = bytearray(made)
        way = draw.integers(3)
        if way == 0:
            bad[draw.integers(len(bad))] ^= 1 << draw.integers(8)
        elif way == 1:
            del bad[draw.integers(len(bad)) :]
        else:
            bad[draw.integers(12)] = draw.integers(256)
        try:
            found = decode(bytes(bad), change.shape, about.size, how, "w")
        except SeededError:
            refused += 1
        else:
            assert found.shape == change.shape
            assert np.isfinite(found).all()
    assert refused > 200


def pair(seed=0):
    draw = torch.manual_seed(seed)
    base = nn.Sequential(nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, 10)).eval()
    tuned = {name: one + 0.05 * torch.randn(one.shape, generator=draw) for name, one in base.state_dict().items()}
    return base, tuned


def test_a_switch_of_seeds_is_saved_verified_and_exported(tmp_path):
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, size="10%", seed=3)
    switch.save_pretrained(tmp_path / "switch")
    again = Switch.from_pretrained(tmp_path / "switch")
    again.verify()
    assert '"format_version": 4' in (tmp_path / "switch" / "switch_config.json").read_text()
    for name in switch.names:
        torch.testing.assert_close(again.dequantise(name), switch.dequantise(name), rtol=0, atol=0)
    compress(base, tuned, tmp_path / "direct", size="10%", seed=3)
    for file in (tmp_path / "switch").iterdir():
        assert file.read_bytes() == (tmp_path / "direct" / file.name).read_bytes()
    export(base, again, tmp_path / "out")
    out = Checkpoint.open(tmp_path / "out")
    for name, value in base.state_dict().items():
        torch.testing.assert_close(out.read(name), value + switch.dequantise(name), rtol=0, atol=1e-6)
    other = Switch.from_checkpoints(base, tuned, size="10%", seed=4)
    assert not torch.equal(other.dequantise("0.weight"), switch.dequantise("0.weight"))


def test_more_bytes_are_closer():
    base, tuned = pair()
    change = tuned["0.weight"] - base.state_dict()["0.weight"]
    errors = {}
    for size in ("1%", "4%", "8%", "12%"):
        found = Switch.from_checkpoints(base, tuned, size=size).dequantise("0.weight")
        errors[size] = float((found - change).norm() / change.norm())
    assert errors["1%"] > errors["4%"] > errors["8%"] > errors["12%"]
    assert errors["12%"] < 0.25


def test_a_bank_runs_switches_of_seeds_beside_ternary_ones():
    base, tuned = pair()
    seeded = Switch.from_checkpoints(base, tuned, size="10%")
    x = torch.randn(3, 96)
    live = nn.Sequential(nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, 10)).eval()
    live.load_state_dict(base.state_dict())
    expected = {}
    for name, switch in (("seeded", seeded), ("ternary", Switch.from_checkpoints(base, tuned))):
        other = nn.Sequential(nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, 10)).eval()
        other.load_state_dict({key: one + switch.dequantise(key) for key, one in base.state_dict().items()})
        expected[name] = other(x)
    bank = SwitchBank(live)
    bank.add("seeded", seeded)
    bank.add("ternary", Switch.from_checkpoints(base, tuned))
    before = live(x)
    with torch.no_grad():
        with bank.use("seeded"):
            torch.testing.assert_close(live(x), expected["seeded"], atol=1e-5, rtol=1e-5)
        assert torch.equal(live(x), before)
        rows, _ = bank.answer(x, ["seeded", "ternary", {}])
    for row, name in enumerate(("seeded", "ternary")):
        torch.testing.assert_close(rows[row], expected[name][row], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(rows[2], before[2], atol=1e-5, rtol=1e-5)


def sample():
    """Base and fine-tuned model of `samples/switch-v4`, which `Switch.from_checkpoints(*sample(), size=400)` made."""
    base = {"a.weight": torch.arange(1200.0).reshape(30, 40) / 1200, "a.bias": torch.arange(40.0) / 40}
    tuned = {
        name: one + 0.01 * torch.sin(torch.arange(one.numel()) * 1.7).reshape(one.shape) for name, one in base.items()
    }
    return base, tuned


def test_the_sample_of_format_4_stays_readable():
    folder = Path(__file__).parent / "samples" / "switch-v4"
    switch, (base, _) = Switch.from_pretrained(folder), sample()
    switch.verify()
    switch.check_base(base)
    change = switch.dequantise("a.weight")
    assert float(change.double().sum()) == pytest.approx(SUMS[0], rel=1e-6)
    assert float(change.double().square().sum()) == pytest.approx(SUMS[1], rel=1e-6)
    assert switch.active == SUMS[2]


def test_what_only_the_ternary_code_has_is_refused_by_name():
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, size="10%")
    for call in (lambda: switch.packed("0.weight"), lambda: list(switch.ternary("0.weight"))):
        with pytest.raises(InputError, match="got the seeded code, expected a ternary code"):
            call()
    with pytest.raises(InputError, match="got the seeded code, expected a ternary code"):
        fit_knobs(switch, base, base, [torch.randn(4, 96)])


def test_settings_of_the_ternary_code_are_refused_with_a_size():
    base, tuned = pair()
    for given in ({"alpha": 0.9}, {"granularity": "model"}, {"scale": "l2"}):
        with pytest.raises(InputError, match="alpha, granularity, scale: expected to be left out"):
            Switch.from_checkpoints(base, tuned, size="10%", **given)


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64 + 5])
def test_any_whole_number_is_a_seed(seed):
    base, tuned = pair()
    first, again = (Switch.from_checkpoints(base, tuned, size="10%", seed=seed).dequantise("0.bias") for _ in range(2))
    assert torch.equal(first, again)


def test_nan_in_a_change_is_named(tmp_path):
    base, tuned = pair()
    tuned["2.weight"][3, 4] = float("nan")
    with pytest.raises(InputError, match=r"tensor '2\.weight'.*1 NaN"):
        compress(base, tuned, tmp_path / "switch", size="10%")


@pytest.mark.parametrize("bad", [{"name": "other"}, {"seed": "1"}, {"rate": -1.0}, {"rate": None}, {"step": "3"}])
def test_a_configuration_of_another_code_is_refused(bad):
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, size="10%")
    config = switch.config | {"code": switch.config["code"] | bad}
    with pytest.raises(ArtifactError, match="its configuration lacks or misstates"):
        Switch(config, torch.ones(len(switch.tensors)), switch._codes, switch.dense, switch.head)
