"""What all tests of proteus share: the same runs in half the time."""

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jinja2
import numpy as np
import pydantic
import pytest
from numpy.polynomial import legendre
from proteus.statistics._ebayes import squeeze_variances

nodes = functools.cache(legendre.leggauss)


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of arrays with its latest results: an equal call gets a copy of what it got before."""

    def plain(one: Any) -> Any:
        return (one.tobytes(), one.dtype.str, one.shape) if isinstance(one, np.ndarray) else one

    def again(one: Any) -> Any:
        return np.frombuffer(one[0], one[1]).reshape(one[2]) if isinstance(one, tuple) else one

    @functools.lru_cache(500)
    def first(places: tuple[Any, ...], names: tuple[tuple[str, Any], ...]) -> Any:
        return function(*map(again, places), **{name: again(one) for name, one in names})

    def call(*places: Any, **names: Any) -> Any:
        key = tuple(map(plain, places)), tuple((name, plain(one)) for name, one in names.items())
        return copy.deepcopy(first(*key))

    return call


priors = remembered(squeeze_variances)
templates: dict[str, jinja2.Template] = {}
compiled, described = jinja2.Environment.from_string, pydantic.BaseModel.model_json_schema.__func__
schemas = functools.cache(described)


def template(environment: jinja2.Environment, source: str) -> jinja2.Template:
    if source not in templates:
        templates[source] = compiled(environment, source)
    return templates[source]


@pytest.fixture(scope="module", autouse=True)
def quick(request: pytest.FixtureRequest) -> Iterator[None]:
    """A small study without what takes half its time and no test looks at.

    numpy finds the nodes of a quadrature anew at each call: they are found once; so are the prior of equal variances,
    the schema of a model and the page's template, since most tests study the same few tables. A kept run halves its
    cohort ten times to predict what replicates: it does so twice. The contract compares runs here with those of
    processes of their own, and changes nothing.
    """
    if request.module.__name__.endswith("test_contract"):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("numpy.polynomial.legendre.leggauss", lambda deg: tuple(one.copy() for one in nodes(deg)))
        patch.setattr("proteus.study._replicated._SPLITS", 2)
        patch.setattr("proteus.statistics._moderated_t.squeeze_variances", priors)
        patch.setattr("jinja2.Environment.from_string", template)
        once = classmethod(lambda *model, **how: copy.deepcopy(schemas(*model, **how)))
        patch.setattr("pydantic.BaseModel.model_json_schema", once)
        yield
