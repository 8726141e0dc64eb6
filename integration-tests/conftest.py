"""The longest tests run first, some on each of the two workers: whoever starts one last makes the other wait."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers on two cores: these tests alone took three times as long


def pytest_collection_modifyitems(items):
    """Deal the slow tests of this folder out to where the workers begin: the first item, and the one in the middle.

    Those of a file stay together, as they share what its fixtures set up; only the pages' commands share nothing.
    """
    here = [item for item in items if item.path.parent == item.config.rootpath / "integration-tests"]
    slow = [item for item in here if item.get_closest_marker("slow")]
    pages = [item for item in slow if item.path.name == "test_readmes.py"]  # the first takes as long as several
    first, second = pages[::2], [item for item in slow if item not in set(pages)] + pages[1::2]
    rest = [item for item in items if item not in set(slow)]
    middle = max(len(items) // 2 - len(first), 0)
    items[:] = first + rest[:middle] + second + rest[middle:]
