from __future__ import annotations

import importlib.metadata
import sys

import pytest
from ninefold import errors
from ninefold.errors import (
    ArtifactError,
    DownloadError,
    InputError,
    MissingExtraError,
    NinefoldError,
    distribution_of,
    require,
    version_of,
)
from ninefold_testing import install, module


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on sys.path in which distributions can be installed."""
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    distribution_of.cache_clear()
    yield tmp_path
    distribution_of.cache_clear()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "alpha"),
        ({"got": 60}, "alpha: got 60"),
        ({"got": 0}, "alpha: got 0"),
        ({"expected": "a share"}, "alpha: expected a share"),
        ({"got": 60, "expected": "a share"}, "alpha: got 60, expected a share"),
        ({"got": 60, "where": "row 3"}, "alpha in row 3: got 60"),
        (
            {"got": 60, "expected": "a share", "hint": "not a percentage"},
            "alpha: got 60, expected a share (not a percentage)",
        ),
    ],
)
def test_input_error_names_what_it_was_told(parts, message):
    error = InputError("alpha", **parts)
    assert str(error) == message
    assert (error.what, error.got) == ("alpha", parts.get("got"))


def test_artifact_error_leads_with_the_path(tmp_path):
    error = ArtifactError(tmp_path / "x", "is damaged")
    assert str(error) == f"{tmp_path / 'x'}: is damaged"
    assert error.path == tmp_path / "x"


@pytest.mark.parametrize("kind", [InputError, ArtifactError, DownloadError, MissingExtraError])
def test_every_kind_is_the_users_to_mend(kind):
    assert issubclass(kind, NinefoldError)


def test_require_returns_the_module_when_it_is_there():
    assert require("json.decoder", "ninefold", "x").JSONDecoder


@pytest.mark.parametrize("name", ["no_such_module_9", "no_such_module_9.part", "json.no_such_part"])
def test_require_names_the_install_line_when_the_module_is_missing(name):
    with pytest.raises(MissingExtraError, match=r"this needs \S+: pip install 'ninefold-core\[plots\]'"):
        require(name, "ninefold", "plots")


@pytest.mark.parametrize("inner", ["no_such_module_9", "halfway.no_such_part"])
def test_require_hides_no_failure_inside_the_module(site, inner, monkeypatch):
    module(site, "halfway.whole", f"import {inner}")
    monkeypatch.delitem(sys.modules, "halfway", raising=False)
    with pytest.raises(ModuleNotFoundError, match=inner):
        require("halfway.whole", "ninefold", "plots")


def test_distribution_is_found_when_prefixed_by_a_publisher(site):
    module(site, "thing9.part", "")  # Python 3.13 counts recorded files only if they are there
    install(site, "acme-thing9", record="thing9/__init__.py,,\nacme_thing9-1.2.3.dist-info/METADATA,,\n")
    assert distribution_of("thing9") == "acme-thing9"
    assert version_of("thing9") == "1.2.3"
    assert "pip install 'acme-thing9[fast]'" in str(MissingExtraError("numba", "thing9", "fast"))


def test_distribution_of_the_packages_own_name_is_found_without_a_look_into_all_others(site, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: pytest.fail("all were read"))
    module(site, "thing9.part", "")
    install(site, "thing9", record="thing9/__init__.py,,\n")
    install(site, "some-more9", record="_editable_impl_some_more9.pth,,\n")
    assert distribution_of("thing9") == "thing9"
    assert version_of("some_more9") == "1.2.3"


def test_an_unrelated_distribution_of_the_packages_name_is_not_its_own(site):
    module(site, "thing9.part", "")
    module(site, "other9.part", "")
    install(site, "thing9", version="9.9.9", record="other9/__init__.py,,\n")
    install(site, "acme-thing9", record="thing9/__init__.py,,\n")
    assert (distribution_of("thing9"), version_of("thing9")) == ("acme-thing9", "1.2.3")


def test_distribution_is_found_when_editable(site):
    install(
        site,
        "acme-thing9",
        entry_points="[console_scripts]\nthing = thing9.cli:main\n",
        record="_editable_impl_acme_thing9.pth,,\n",
    )
    assert distribution_of("thing9") == "acme-thing9"


def test_distribution_is_found_beside_a_broken_entry_point(site):
    install(site, "aaa-broken", entry_points="[console_scripts]\nx = not an [entry point\n")
    assert distribution_of("ninefold") == "ninefold-core"


def test_unknown_package_has_its_own_name_and_no_version(site):
    assert distribution_of("no_such_package_9") == "no_such_package_9"
    assert version_of("no_such_package_9") == "unknown"


def test_core_has_the_version_of_its_metadata():
    import ninefold

    assert ninefold.__version__ == importlib.metadata.version("ninefold-core")
    assert all(getattr(ninefold, name) is not None for name in ninefold.__all__)
    assert ninefold.InputError is errors.InputError
    with pytest.raises(AttributeError, match="nonsense"):
        _ = ninefold.nonsense
