"""How the method is judged: errors on simulated data (`_errors`), and pictures of them (`_pictures`)."""

from template_package.evaluation._errors import squared_errors
from template_package.evaluation._pictures import error_histogram

__all__ = ["error_histogram", "squared_errors"]
