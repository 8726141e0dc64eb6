"""Switch folders on the hub: huggingface_hub does the transfer, this says in one line what went wrong."""

from __future__ import annotations

from pathlib import Path

from ninefold.errors import DownloadError


def download(repository: str) -> Path:
    """The folder of a switch on the hub, from its cache or fetched now.

    Raises:
        DownloadError: if the hub does not give it.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise DownloadError(
            f"{repository}: no such folder here, and the hub did not give it ({_first_line(error)}); "
            "put the switch into a folder and give its path"
        ) from None


def upload(folder: Path, repository: str, *, private: bool | None, token: str | None) -> str:
    """Upload a folder to a model repository, made if need be; returns the address of the commit.

    Raises:
        DownloadError: if the hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = HfApi(token=token)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Upload task switch"))
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        raise DownloadError(
            f"{repository}: the hub did not take the switch ({_first_line(error)}); log in by `hf auth login`"
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
