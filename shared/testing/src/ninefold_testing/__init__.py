"""The contract that every package keeps, as tests: a package inherits them, `class TestContract(ContractTests)`.

A package fills in the hooks and may add tests; it may not override one (that fails at import).
"""

from ninefold_testing._contract import ContractTests
from ninefold_testing._fakes import install, module
from ninefold_testing._flocks import FLOCKS, flock_of
from ninefold_testing._memory import Peak, peak_rss_anon, rss_anon
from ninefold_testing._programs import Warm, command, digests, run, run_here, warm

__all__ = [
    "FLOCKS", "ContractTests", "Peak", "Warm", "command", "digests", "flock_of", "install", "module", "peak_rss_anon",
    "rss_anon", "run", "run_here", "warm",
]  # fmt: skip
