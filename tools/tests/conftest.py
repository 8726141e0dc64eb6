"""One thread each for two workers on two cores, as the packages' tests have, also where these run alone."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
