"""The longest tests run first, one on each of the two workers: whoever starts one last makes the other wait."""


def pytest_collection_modifyitems(items):
    """Deal the slow tests of this folder out to where the workers begin: the first item, and the one in the middle."""
    here = [item for item in items if item.path.parent == item.config.rootpath / "integration-tests"]
    slow = [item for item in here if item.get_closest_marker("slow")]
    rest = [item for item in items if item not in set(slow)]
    middle = max(len(items) // 2 - len(slow[::2]), 0)
    items[:] = slow[::2] + rest[:middle] + slow[1::2] + rest[middle:]
