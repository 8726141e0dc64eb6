"""The contract suite passes a package that keeps the contract, and catches each breach of it."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from ninefold.errors import distribution_of
from ninefold_testing import ContractTests, Warm, _contract, digests, install, module, run_here

INIT = '''
    """A package that keeps the contract."""
    __all__ = ["__version__", "solve"]
    __version__ = "1.2.3"


    def solve(x: int) -> int:
        """Solve it."""
        return x
'''

CLI = '''
    from __future__ import annotations

    import time
    from pathlib import Path

    from ninefold.demo import demo_verb
    from ninefold.cli import Shared, house_app, run_app, verb

    app = house_app("fake_nine", "Fake.")


    @verb(app, uses=("seed",))
    def draw(*, opts: Shared) -> dict:
        """Draw a number."""
        import random

        random.seed(opts.seed)
        return {"number": random.random(), "seconds": time.time()}


    @verb(app, uses=("seed", "out", "quiet"), out="run")
    def long(*, opts: Shared) -> None:
        """Work for long."""
        from ninefold.run import Run

        with Run(opts.need_out(), {"seed": opts.seed}) as run:
            for step in range(len(run.metrics()), 8):
                time.sleep(0.05)
                run.log(step=step)


    @verb(app, uses=())
    def inspect() -> None:
        """Look inside."""


    @verb(app, uses=())
    def bench() -> None:
        """Take times."""


    demo_verb(app, "fake-nine")
    main = run_app(app)
'''

CLAIMS = """
    def demo(seed):
        return None
"""

SYSTEM = """
    from ninefold.systems import System

    SYSTEM = System("fake-nine", "fakes", "fake_nine.claims:demo", "fake_nine.claims:CLAIMS")
"""

CONTRACT = """
    import numpy as np

    from ninefold.artifacts import Artifact, save
    from ninefold_testing import ContractTests


    class TestContract(ContractTests):
        package = "fake_nine"

        def seeded_command(self, tmp_path):
            return ["draw"]

        def make_artifact(self, tmp_path):
            folder = tmp_path / "thing"
            folder.mkdir()
            (folder / "README.md").write_text("for people")
            save(folder / "x.safetensors", {"a": np.arange(9)}, kind="fake", format_version=1, package="fake_nine")
            return folder

        def load_artifact(self, path):
            Artifact(path / "x.safetensors", kind="fake", format_version=1).verify()

        def long_command(self, tmp_path):
            return ["long"]

        def output_commands(self, tmp_path):
            return {"long": ["long"]}
"""


@pytest.fixture(scope="module")
def bare():
    """A warm process that has imported nothing: the fake package needs no more, and would lend others its stand-ins."""
    made = Warm()
    yield made
    made.close()


@pytest.fixture
def contract(bare, tmp_path, monkeypatch):
    """A function that installs the fake package, with some text exchanged, and returns its contract tests."""

    def make(name="", old="", new=""):
        src = tmp_path / "src"
        parts = {
            "fake_nine.__init__": INIT, "fake_nine.cli": CLI, "fake_nine.claims": CLAIMS, "fake_nine._system": SYSTEM,
        }  # fmt: skip
        files = {key: module(src, key, text) for key, text in parts.items()}
        module(src, "transformers", "")  # a light stand-in
        files["contract"] = module(tmp_path / "tests", "test_contract", CONTRACT)
        install(src, "acme-fake", entry_points="[ninefold.systems]\nfake-nine = fake_nine._system:SYSTEM\n")
        if name:
            text = files[name].read_text()
            assert text.count(old), "nothing to exchange"
            files[name].write_text(text.replace(old, new, 1))
        spec = importlib.util.spec_from_file_location("fake_contract", files["contract"])
        assert spec is not None
        assert spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "fake_contract", made)
        spec.loader.exec_module(made)
        return made.TestContract()

    monkeypatch.setattr(_contract, "warm", lambda package: bare)
    monkeypatch.syspath_prepend(tmp_path / "src")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "src"))
    distribution_of.cache_clear()
    yield make
    distribution_of.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "fake_nine"]:
        del sys.modules[name]


def call(tests, name, tmp_path):
    place = tmp_path / "test"
    place.mkdir()
    test = getattr(tests, f"test_{name}")
    with pytest.MonkeyPatch.context() as monkeypatch:
        fixtures = {"tmp_path": place, "monkeypatch": monkeypatch}
        test(*(fixtures[name] for name in test.__code__.co_varnames[1 : test.__code__.co_argcount]))


NAMES = sorted(name.removeprefix("test_") for name in dir(ContractTests) if name.startswith("test_"))


@pytest.mark.parametrize("name", NAMES)
def test_package_that_keeps_the_contract_passes(contract, tmp_path, monkeypatch, name):
    if name != "version_is_the_distributions":  # one with the processes that packages see
        monkeypatch.setattr(_contract, "run", lambda module, *words, **_: run_here(module, *words))
    call(contract(), name, tmp_path)


LONG = 'out="run")\ndef long(*, opts: Shared) -> None:\n    """Work for long."""'
BREACHES = [
    ("import_and_help_are_light", "fake_nine.__init__", "__all__", "import transformers\n__all__"),
    ("import_and_help_are_light", "fake_nine.cli", "import time", "import transformers, time"),
    ("each_verb_has_help", "fake_nine.cli", '"""Look inside."""', "pass"),
    ("each_verb_has_help", "fake_nine.cli", "def bench", "def other"),
    ("version_is_the_distributions", "fake_nine.cli", 'house_app("fake_nine"', 'house_app("ninefold"'),
    ("wrong_words_are_one_line_and_status_2", "fake_nine.cli", "main = run_app(app)", "main = app"),
    ("json_is_one_document_and_follows_the_seed", "fake_nine.cli", "random.seed(opts.seed)", "random.seed(1)"),
    ("json_is_one_document_and_follows_the_seed", "fake_nine.cli", "random.seed(opts.seed)", "random.seed()"),
    ("json_is_one_document_and_follows_the_seed", "fake_nine.cli", "random.seed(opts.seed)", "print('hi')"),
    ("damaged_artifact_is_refused_by_name", "contract", "format_version=1).verify()", "format_version=1)"),
    ("damaged_artifact_is_refused_by_name", "contract", "format_version=1).verify()", "format_version=9).verify()"),
    ("damaged_artifact_is_refused_by_name", "contract", "Artifact(path /", "open(path /"),
    ("damaged_artifact_is_refused_by_name", "contract", '"for people")', '"");(folder / "more.json").write_text("{}")'),
    ("artifact_is_written_whatever_the_locks_of_its_file_system", "contract", "folder.mkdir()",
     "folder.mkdir()\n        import fcntl; fcntl.flock(open(__file__), fcntl.LOCK_EX)"),
    ("existing_output_is_not_overwritten_without_force", "fake_nine.cli", LONG,
     LONG.replace('"run"', '"own"') + "\n    [file.unlink() for file in opts.out.glob('*.txt')]"),
    ("killed_work_resumes_to_the_same_result", "fake_nine.cli", "range(len(run.metrics()), 8)", "range(8)"),
    ("interrupt_gives_130", "fake_nine.cli", "import time", "import signal, time; signal.signal(2, signal.SIG_IGN)"),
    ("each_system_has_a_demo", "fake_nine._system", "fake_nine.claims:demo", "fake_nine.gone:demo"),
    ("output_path_is_judged_before_the_work", "contract", '{"long": ["long"]}', "{}"),
    ("output_path_is_judged_before_the_work", "fake_nine.cli", LONG, LONG.replace('"run"', '"own"') + "\n    return"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "old", "new"), BREACHES, ids=lambda value: value[:24])
def test_breach_is_caught(contract, tmp_path, monkeypatch, name, file, old, new):
    monkeypatch.setattr(_contract, "run", lambda module, *words, **_: run_here(module, *words))
    with pytest.raises((Exception, pytest.fail.Exception)):
        call(contract(file, old, new), name, tmp_path)


def test_work_too_short_to_be_killed_is_no_proof(contract, tmp_path, monkeypatch):
    tests = contract()
    monkeypatch.setattr(tests, "_work_for", lambda seconds, words, out, until=None: (1.0, -9))
    with pytest.raises(AssertionError, match="no kill met work under way"):
        tests.test_killed_work_resumes_to_the_same_result(tmp_path / "src")


def test_every_contract_test_has_a_breach():
    assert {name for name, *_ in BREACHES} == set(NAMES)


def test_contract_cannot_be_overridden_not_even_by_a_mixin():
    class Mixin:
        def test_interrupt_gives_130(self):
            pass

    with pytest.raises(TypeError, match="overrides the contract's test_interrupt_gives_130"):
        type("Direct", (ContractTests,), {"test_interrupt_gives_130": None})
    with pytest.raises(TypeError, match="overrides the contract's test_interrupt_gives_130"):
        type("Mixed", (Mixin, ContractTests), {})
    assert type("More", (ContractTests,), {"test_another": lambda self: None})


def test_digests_are_by_relative_path(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    assert list(digests(tmp_path)) == ["a/x"]
