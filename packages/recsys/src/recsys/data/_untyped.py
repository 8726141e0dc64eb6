"""What the type checker cannot see: Arrow's functions, LAPACK's, and scipy's sparse matrices."""

from typing import Any, TypeAlias

import pyarrow.compute
import scipy.linalg.lapack

pc: Any = pyarrow.compute  # its functions are made at run time
lapack: Any = scipy.linalg.lapack
Csr: TypeAlias = Any  # a scipy.sparse.csr_matrix: scipy ships no types
