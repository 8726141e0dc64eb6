"""The small core that the Ninefold packages share. `import ninefold` loads neither torch nor matplotlib."""

from ninefold.errors import ArtifactError, DownloadError, InputError, MissingExtraError, NinefoldError, version_of

__all__ = ["ArtifactError", "DownloadError", "InputError", "MissingExtraError", "NinefoldError", "__version__"]
__version__ = version_of("ninefold")
