"""Pictures for training, for choices, and for a test that nothing is chosen on."""

from __future__ import annotations

from bnn_fsg.datasets._images import Images, digits, load


def splits_of(data: str, size: tuple[int, int] | None = None) -> dict[str, Images]:
    """Train, validation and test: of digits as they are, else a tenth of the training pictures is for validation.

    Args:
        data: "digits" or a folder, see `load`. size: (rows, columns) to which pictures of a folder are resized.
    """
    if data == "digits":
        return {split: digits(split) for split in ("train", "validation", "test")}
    whole, test = (load(data, split, size) for split in ("train", "test"))
    held = max(1, len(whole) // 10)  # choices are never made on the test split
    return {"train": whole.part(held, None), "validation": whole.part(0, held), "test": test}
