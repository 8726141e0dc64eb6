"""Arrow's functions on columns, for the type checker's sake."""

from typing import Any

import pyarrow.compute

pc: Any = pyarrow.compute  # its functions are made at run time, so no checker sees them
