"""Estimate many means at once by James-Stein shrinkage. Names are resolved on first use, so importing this is light.

Examples:
    >>> import template_package

    >>> samples, means = template_package.datasets.normal_means(dimension=50, samples=5, seed=0)
    >>> template_package.JamesStein().estimate(samples).shape
    (50,)
    >>> template_package.__version__
    '...'
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from template_package import datasets as datasets
    from template_package.shrinkage import Estimate as Estimate
    from template_package.shrinkage import JamesStein as JamesStein
    from template_package.shrinkage import james_stein as james_stein

    __version__: str

__getattr__, __dir__, __all__ = attach(
    __name__,
    {"Estimate": "shrinkage", "JamesStein": "shrinkage", "datasets": "datasets", "james_stein": "shrinkage"},
)
