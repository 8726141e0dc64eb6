"""Pictures by name or folder: the embedded digits, CIFAR's batches, parquet shards, folders of pictures.

_images  every loader, and `Images`, what it returns
_splits  for training, for choices, and for a test
_cifar   CIFAR's python batches, which are pickles, read without running code

Examples:
    >>> from bnn_fsg import datasets

    >>> test = datasets.digits("test")
    >>> test.pixels.shape, test.labels[:5].tolist()
    ((180, 1, 8, 8), [9, 2, 3, 2, 6])
    >>> test.inputs().shape, test.inputs().dtype
    ((180, 1, 8, 8), dtype('float32'))
"""

from bnn_fsg.datasets._images import Images, cifar, digits, image_folder, load, parquet

__all__ = ["Images", "cifar", "digits", "image_folder", "load", "parquet"]
