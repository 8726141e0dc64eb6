"""Pictures by name or folder: the embedded digits, CIFAR's batches, parquet shards, folders of pictures.

_images  every loader, and `Images`, what it returns
_cifar   CIFAR's python batches, which are pickles, read without running code
"""

from bnn_fsg.datasets._images import Images, cifar, digits, image_folder, load, parquet

__all__ = ["Images", "cifar", "digits", "image_folder", "load", "parquet"]
