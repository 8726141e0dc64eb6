"""Banks on disk: mapped until a task is used, in shards, and damaged ones."""

import json

import pytest
import torch
from ninefold.errors import ArtifactError, InputError
from ninefold_testing import peak_rss_anon
from tswitch import Switch, SwitchBank
from tswitch.bank._stored import ABOUT

from .small_net import make_bank, make_base


@pytest.fixture
def stored(tmp_path):
    """A bank of the small net in several shards, and its folder."""
    bank, _ = make_bank(make_base())
    written = bank.save(tmp_path / "bank", max_shard_size="100B")
    assert written.shards > 2
    return bank, tmp_path / "bank"


def state(bank, task):
    with bank.use(task):
        return {name: value.clone() for name, value in bank.model.state_dict().items()}


def test_an_opened_bank_switches_to_the_same_bits_and_back(stored):
    bank, folder = stored
    opened = SwitchBank.open(folder, make_base())
    assert opened.tasks == bank.tasks
    before = {name: value.clone() for name, value in opened.model.state_dict().items()}
    for task in bank.tasks:
        mine, other = state(opened, task), state(bank, task)
        assert all(torch.equal(mine[name], other[name]) for name in other)
        assert any(not torch.equal(mine[name], before[name]) for name in before)
        assert opened.nbytes(task) == bank.nbytes(task)
    assert all(torch.equal(value, before[name]) for name, value in opened.model.state_dict().items())


def test_one_file_holds_a_small_bank(tmp_path):
    bank, _ = make_bank(make_base())
    bank.save(tmp_path / "bank")
    assert [file.name for file in (tmp_path / "bank").glob("*.safetensors")] == ["model.safetensors"]
    with pytest.raises(ArtifactError, match="exists"):
        bank.save(tmp_path / "bank")
    bank.save(tmp_path / "bank", force=True)


def test_tasks_take_no_memory_until_they_are_used(tmp_path):
    """Sixteen tasks of 4 M parameters: 16 MB of codes, of which one task's are read."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2048, 2048, bias=False), torch.nn.Linear(2048, 64)).eval()
    bank = SwitchBank(model)
    for task in range(16):
        tuned = {name: value + torch.randn(value.shape) for name, value in model.state_dict().items()}
        bank.add(f"t{task}", Switch.from_checkpoints(model, tuned, alpha=0.9))
    bank.save(tmp_path / "bank", max_shard_size="4MB")
    codes = sum(bank.nbytes(task) for task in bank.tasks)
    x = torch.randn(4, 2048)
    bank.select("t3")
    with torch.no_grad():
        wanted = model(x)
    bank.select(None)
    del bank
    with peak_rss_anon() as peak:
        opened = SwitchBank.open(tmp_path / "bank", model)
    assert len(opened.tasks) == 16
    assert peak.above < codes / 16
    opened.select("t3")
    with torch.no_grad():
        assert torch.equal(model(x), wanted)
    opened.select(None)


@pytest.mark.parametrize("how", ["missing", "truncated", "another header"])
def test_a_shard_that_is_missing_or_damaged_is_named_when_the_bank_is_opened(stored, how):
    _, folder = stored
    shard = sorted(folder.glob("model-*.safetensors"))[1]
    data = shard.read_bytes()
    shard.unlink() if how == "missing" else shard.write_bytes(data[:-5] if how == "truncated" else data[5:])
    with pytest.raises(ArtifactError, match=shard.name):
        SwitchBank.open(folder, make_base())


def test_a_flipped_bit_is_found_when_its_task_is_used_and_others_work(stored):
    bank, folder = stored
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    name = next(name for name in index if name.startswith("t1/codes/"))
    shard = folder / index[name]
    data = bytearray(shard.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    data[start + header[name]["data_offsets"][0]] ^= 1
    shard.write_bytes(data)
    opened = SwitchBank.open(folder, make_base())
    for _ in range(2):
        with pytest.raises(ArtifactError, match=rf"{shard.name}.*{name}"), opened.use("t1"):
            pytest.fail("a damaged task was used")
    other = next(task for task in bank.tasks if task != "t1")
    assert state(opened, other).keys() == state(bank, other).keys()


def test_what_is_no_bank_or_of_another_model_is_refused(stored, tmp_path):
    bank, folder = stored
    with pytest.raises(ArtifactError, match="is no bank"):
        SwitchBank.open(tmp_path, make_base())
    with pytest.raises(InputError, match="of the model"):
        SwitchBank.open(folder, torch.nn.Linear(3, 2))
    other = make_base()
    with torch.no_grad():
        for value in other.parameters():
            value.add_(1)
    opened = SwitchBank.open(folder, other)
    with pytest.raises(InputError, match="base of task"), opened.use(bank.tasks[0]):
        pytest.fail("another base was switched")
    about = json.loads((folder / ABOUT).read_text())
    for broken, reason in (({**about, "version": 2}, "version 2"), ({**about, "digests": {}}, "damaged")):
        (folder / ABOUT).write_text(json.dumps(broken))
        with pytest.raises(ArtifactError, match=reason):
            SwitchBank.open(folder, make_base())


def test_heads_are_stored_and_callables_are_refused(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.Linear(16, 3)).eval()
    tuned = {name: value + 0.1 * torch.randn(value.shape) for name, value in model.state_dict().items()}
    bank = SwitchBank(model)
    bank.add("a", Switch.from_checkpoints(model, tuned, exclude=("1.*",), alpha=0.6))
    bank.save(tmp_path / "bank")
    opened, x = SwitchBank.open(tmp_path / "bank", model), torch.randn(2, 16)
    with torch.no_grad():
        with bank.use("a"):
            wanted = model(x)
        with opened.use("a"):
            assert torch.equal(model(x), wanted)
            assert torch.equal(model[1].weight, tuned["1.weight"])
    bank.add("b", Switch.from_checkpoints(model, tuned, alpha=0.6), head=lambda output: output)
    with pytest.raises(InputError, match="head of task 'b': got a callable"):
        bank.save(tmp_path / "other")
