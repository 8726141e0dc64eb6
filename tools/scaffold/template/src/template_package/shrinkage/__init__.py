"""The method. Section 2 of the publication, the estimator: `_formula`; what is kept of it on disk: `_estimate`."""

from template_package.shrinkage._estimate import Estimate
from template_package.shrinkage._formula import JamesStein, checked, james_stein

__all__ = ["Estimate", "JamesStein", "checked", "james_stein"]
