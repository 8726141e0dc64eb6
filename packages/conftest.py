"""Two workers run the tests on two cores; a pool of threads in each would only get in the other's way."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
