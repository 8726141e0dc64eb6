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
from tswitch.coding import SeededError, bytes_of, code, decode, encode, measure
from tswitch.coding._seeded import key_of
from tswitch.fitting._given import compress_given

SUMS = (0.37053727358579636, 23.603792342760293, 24851)  # of the sample: changes, their squares, active entries
SHAPES = [(1, 1), (1, 700), (300, 20), (40, 60), (513, 129), (2, 70_000)]


def drawn(shape, seed=0, spread=1.0):
    draw = np.random.default_rng(seed)
    rows = np.exp(spread * draw.standard_normal((shape[0], 1)))
    return (1e-3 * draw.standard_normal(shape) * rows).astype(np.float32)


def pieces(change, size):
    flat = change.reshape(-1)
    return [flat[start : start + size] for start in range(0, flat.size, size)]


def coded(change, scale, seed=5, name="w", size=997):
    about, bad = measure(pieces(change, size), change.shape)
    assert bad == 0
    return encode(pieces(change, size), about, scale, seed, name)


def read(code, shape, seed=5, name="w"):
    parts = list(decode(np.frombuffer(code, np.uint8), shape, seed, name))
    assert [part.start for part, _ in parts] == [0, *(part.stop for part, _ in parts[:-1])]
    return np.concatenate([values for _, values in parts]).reshape(shape)


def draws(seed, name, count):
    """The draws in [0, 1) of a tensor's entries, by whole numbers of Python: SplitMix64 from the tensor's key."""
    most, key, found = (1 << 64) - 1, int(key_of(seed, name)), []
    for index in range(count):
        z = (key + (index + 1) * 0x9E3779B97F4A7C15) & most
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & most
        z = (z ^ z >> 27) * 0x94D049BB133111EB & most
        found.append(((z ^ z >> 31) >> 32) / 2**32)
    return np.array(found)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [0.0025, 0.02, 0.5])
def test_a_code_is_read_as_the_signs_of_the_entries_above_their_draws(shape, scale):
    change = drawn(shape)
    code, active = coded(change, scale)
    found = read(code, shape)
    assert np.count_nonzero(found) == active
    above = np.abs(change) > scale * (draws(5, "w", change.size).reshape(shape) + 0.5 / 2**32)
    sizes = np.sqrt(np.square(change, dtype=np.float64).mean(1, keepdims=True))
    sure = np.abs(change) < 4 * sizes  # entries that stand out of their row this much may be cut off
    np.testing.assert_array_equal(found[sure], (above * np.sign(change))[sure])
    assert code == coded(change, scale, size=change.size)[0]  # whatever the chunks


def test_an_active_entry_takes_less_than_three_bits():
    change = drawn((400, 500), spread=0.2)
    for scale in (0.003, 0.02, 0.1):
        code, active = coded(change, scale)
        assert 8 * len(code) < 3.05 * active + 300


def test_the_mean_over_seeds_is_the_change():
    change, seeds, scale = drawn((20, 30), spread=0.5), 300, 0.02
    made = [scale * read(coded(change, scale, seed)[0], change.shape, seed) for seed in range(seeds)]
    error, variance = np.mean(made, axis=0) - change, scale * np.abs(change) / seeds
    weights = np.random.default_rng(1).standard_normal((200, *change.shape))
    scores = (weights * error).sum((1, 2)) / np.sqrt((weights**2 * variance).sum((1, 2)))
    assert 0.6 < np.abs(scores).mean() < 1.0  # 0.8 without a bias
    assert abs((np.mean(made, axis=0) * change).sum() / (change * change).sum() - 1) < 0.1


def test_rows_that_do_not_change_stay_as_they_are_and_cost_little():
    change = drawn((3000, 40), spread=0.1)
    change[100:] = 0
    few = coded(change, 0.005)
    found = read(few[0], change.shape)
    assert not found[100:].any()
    assert len(few[0]) < len(coded(change[:100], 0.005)[0]) + 40
    change[100:] = 1e-7 * drawn((2900, 40), 1, spread=0.1)  # such as rows that only weight decay moves
    assert len(coded(change, 0.005)[0]) < 1.3 * len(few[0]) + 400
    nothing, bad = measure([np.zeros(12, np.float32)], (3, 4))
    assert (nothing.total, bad) == (0, 0)


@pytest.mark.parametrize("most", [2_000, 6_000, 20_000])
def test_codes_have_the_bytes_that_were_given(most):
    changes = {"a": drawn((300, 500)), "b": drawn((1, 500), 1), "c": np.zeros((4, 50), np.float32)}
    about = {name: measure([one.reshape(-1)], one.shape)[0] for name, one in changes.items()}
    made = code(lambda name: [changes[name].reshape(-1)], about, most, 0)
    used = sum(map(len, made.codes.values()))
    assert used <= most
    assert used >= 0.95 * most or made.whole
    assert set(made.codes) == {"a", "b"}


@pytest.mark.parametrize("size", ["", "0", "0%", "-1%", "101%", "x", "1 TB", "nan", "1e3MB"])
def test_sizes_that_are_none_are_refused(size):
    with pytest.raises(InputError, match="size: got"):
        bytes_of(size, 1000)


def test_mutated_codes_are_refused_or_read_in_their_shape():
    change = drawn((40, 60))
    made, _ = coded(change, 0.01)
    draw, refused = np.random.default_rng(0), 0
    for turn in range(1200):
        bad = bytearray(made)
        if turn % 3 == 0:
            bad[draw.integers(len(bad))] ^= 1 << draw.integers(8)
        elif turn % 3 == 1:
            del bad[draw.integers(len(bad)) :]
        else:
            bad = bytearray(draw.integers(256, size=draw.integers(2 * len(bad)), dtype=np.uint8).tobytes())
        try:
            found = read(bytes(bad), change.shape)
        except SeededError:
            refused += 1
        else:
            assert found.shape == change.shape
            assert np.abs(found).max() <= 1
    assert refused > 100


def pair(seed=0):
    draw = torch.manual_seed(seed)
    base = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 64)).eval()
    tuned = {name: one + 0.02 * torch.randn(one.shape, generator=draw) for name, one in base.state_dict().items()}
    return base, tuned


@pytest.mark.parametrize("size", ["0.8%", "1.5%", "12KB"])
def test_the_folder_without_its_head_has_the_bytes_that_were_given(tmp_path, size):
    base, tuned = pair()
    switch = compress(base, tuned, tmp_path / "switch", size=size)
    used = sum(file.stat().st_size for file in switch.path.iterdir() if file.name != "head.safetensors")
    most = bytes_of(size, switch.parameters)
    assert 0.93 * most <= used <= most


def test_python_and_the_command_line_have_the_same_default(tmp_path):
    base, tuned = pair()
    torch.save(base.state_dict(), tmp_path / "base.bin")
    torch.save(tuned, tmp_path / "tuned.bin")
    compress_given(str(tmp_path / "base.bin"), str(tmp_path / "tuned.bin"), tmp_path / "given")
    compress(tmp_path / "base.bin", tmp_path / "tuned.bin", tmp_path / "python")
    Switch.from_checkpoints(tmp_path / "base.bin", tmp_path / "tuned.bin").save_pretrained(tmp_path / "memory")
    for file in (tmp_path / "given").iterdir():
        for other in ("python", "memory"):
            assert file.read_bytes() == (tmp_path / other / file.name).read_bytes()
    assert Switch.from_pretrained(tmp_path / "given").seeded == 0


@pytest.mark.parametrize("given", [{"alpha": 0.6}, {"granularity": "tensor"}, {"scale": "full"}])
def test_a_setting_of_the_ternary_code_chooses_it(given):
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, **given)
    assert switch.seeded is None
    assert switch.density == pytest.approx(0.4, abs=1e-3)


def test_a_size_without_room_says_what_is_needed():
    base, tuned = pair()
    with pytest.raises(InputError, match=r"size: got 900 \(900 bytes\), expected clearly more than"):
        Switch.from_checkpoints(base, tuned, size=900)


def test_a_switch_of_seeds_is_saved_verified_and_exported(tmp_path):
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, size="1.5%", seed=3)
    switch.save_pretrained(tmp_path / "switch")
    again = Switch.from_pretrained(tmp_path / "switch")
    again.verify()
    assert '"format_version": 4' in (tmp_path / "switch" / "switch_config.json").read_text()
    for name in switch.names:
        torch.testing.assert_close(again.dequantise(name), switch.dequantise(name), rtol=0, atol=0)
    compress(base, tuned, tmp_path / "direct", size="1.5%", seed=3)
    for file in (tmp_path / "switch").iterdir():
        assert file.read_bytes() == (tmp_path / "direct" / file.name).read_bytes()
    export(base, again, tmp_path / "out")
    out = Checkpoint.open(tmp_path / "out")
    for name, value in base.state_dict().items():
        torch.testing.assert_close(out.read(name), value + switch.dequantise(name), rtol=0, atol=1e-6)
    other = Switch.from_checkpoints(base, tuned, size="1.5%", seed=4)
    assert not torch.equal(other.dequantise("0.weight"), switch.dequantise("0.weight"))


def test_more_bytes_are_closer_until_every_entry_is_coded():
    base, tuned = pair()
    change = tuned["0.weight"] - base.state_dict()["0.weight"]
    errors = {}
    for size in ("0.8%", "1.2%", "2%", "3%", "20%"):
        found = Switch.from_checkpoints(base, tuned, size=size)
        errors[size] = float((found.dequantise("0.weight") - change).norm() / change.norm())
    assert errors["0.8%"] > errors["1.2%"] > errors["2%"] > errors["3%"] >= errors["20%"]
    assert errors["20%"] < 1
    assert found.nbytes < bytes_of("5%", found.parameters)


def test_a_bank_runs_switches_of_seeds_beside_ternary_ones():
    base, tuned = pair()
    switches = {
        "seeded": Switch.from_checkpoints(base, tuned, size="1.5%"),
        "ternary": Switch.from_checkpoints(base, tuned, alpha=0.6),
    }
    x, expected = torch.randn(3, 256), {}
    live, other = (nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 64)).eval() for _ in range(2))
    live.load_state_dict(base.state_dict())
    for name, switch in switches.items():
        other.load_state_dict({key: one + switch.dequantise(key) for key, one in base.state_dict().items()})
        expected[name] = other(x).detach()
    bank = SwitchBank(live)
    for name, switch in switches.items():
        bank.add(name, switch)
    assert bank.nbytes("seeded") < 0.07 * 4 * switches["seeded"].parameters
    before = live(x).detach()
    with torch.no_grad():
        with bank.use("seeded"):
            torch.testing.assert_close(live(x), expected["seeded"], atol=1e-5, rtol=1e-5)
        assert torch.equal(live(x), before)
        rows, _ = bank.answer(x, ["seeded", "ternary", {}])
    for row, name in enumerate(("seeded", "ternary")):
        torch.testing.assert_close(rows[row], expected[name][row], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(rows[2], before[2], atol=1e-5, rtol=1e-5)


def test_scales_are_fitted_without_a_change_of_the_code():
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, size="1%")
    live = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 64)).eval()
    live.load_state_dict(tuned)
    fitted = fit_knobs(switch, base, live, [torch.randn(32, 256) for _ in range(4)])
    before, after = fitted.config["fitted"]["divergence"]
    assert after < before
    for name in switch.names:
        assert torch.equal(fitted.packed(name), switch.packed(name))


def test_packed_codes_are_those_of_the_signs():
    switch = Switch.from_checkpoints(*pair(), size="1%")
    for name in switch.names:
        signs = torch.cat([values for _, values in switch.ternary(name)])
        codes = (switch.packed(name)[:, None] >> torch.tensor([0, 2, 4, 6], dtype=torch.uint8)) & 3
        assert torch.equal(codes.reshape(-1)[: len(signs)].to(torch.int8), torch.where(signs < 0, 2, signs))


def sample():
    """Base and fine-tuned model of `samples/switch-v4`, which `Switch.from_checkpoints(*sample(), size=9000)` made."""
    base = {"a.weight": torch.arange(120_000.0).reshape(300, 400) / 120_000, "a.bias": torch.arange(400.0) / 400}
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


def test_settings_of_the_ternary_code_are_refused_with_a_size():
    base, tuned = pair()
    for given in ({"alpha": 0.6}, {"alpha": 0.9}, {"granularity": "model"}, {"scale": "l2"}, {"scale": "full"}):
        with pytest.raises(InputError, match="alpha, granularity, scale: expected to be left out"):
            Switch.from_checkpoints(base, tuned, size="1.5%", **given)


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64 + 5])
def test_any_whole_number_is_a_seed(seed):
    base, tuned = pair()
    first, again = (Switch.from_checkpoints(base, tuned, size="1.5%", seed=seed).dequantise("0.bias") for _ in range(2))
    assert torch.equal(first, again)


def test_nan_in_a_change_is_named(tmp_path):
    base, tuned = pair()
    tuned["2.weight"][3, 4] = float("nan")
    with pytest.raises(InputError, match=r"tensor '2\.weight'.*1 NaN"):
        compress(base, tuned, tmp_path / "switch", size="1.5%")


def test_a_folder_whose_table_lies_is_refused(tmp_path):
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, size="1%")
    name = switch.names[0]
    for change, match in (({"active": 1}, "active entries"), ({"shape": [3]}, "too many|active entries")):
        table = switch.config["tensors"] | {name: switch.config["tensors"][name] | change}
        bad = Switch(switch.config | {"tensors": table}, switch._scales, switch._codes, switch.dense, switch.head)
        bad.save_pretrained(tmp_path / "bad", force=True)
        with pytest.raises(ArtifactError, match=match):
            Switch.from_pretrained(tmp_path / "bad").verify()


@pytest.mark.parametrize("bad", [{"name": "other"}, {"seed": "1"}, {"seed": None}])
def test_a_configuration_of_another_code_is_refused(bad):
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, size="1.5%")
    config = switch.config | {"code": switch.config["code"] | bad}
    with pytest.raises(ArtifactError, match="its configuration lacks or misstates"):
        Switch(config, torch.ones(len(switch.tensors)), switch._codes, switch.dense, switch.head)
