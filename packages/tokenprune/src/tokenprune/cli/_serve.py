"""transformers' own server with a pruner attached; a request may bring a sparsity of its own.

The server runs one request at a time through `generate`, on one thread, so a request's sparsity holds for it and for no
other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from ninefold.errors import InputError, require

FIELD = "sparsity"  # of a request


def run(name: str, on: Callable[[Any], Any], *, host: str, port: int, device: str) -> None:
    """Serve until the process ends.

    Args:
        name: folder or hub id of the model. on: a model -> its pruner, not yet attached.
        host, port: where to listen. device: where the model runs.
    Raises:
        MissingExtraError: if FastAPI or uvicorn is not installed.
        InputError: for a local folder without a tokenizer.
    """
    folder = Path(name)
    if folder.is_dir() and not any((folder / one).is_file() for one in ("tokenizer.json", "tokenizer_config.json")):
        raise InputError("--model", where=folder, got="a folder without a tokenizer", expected="tokenizer.json in it",
                         hint="write it there with tokenizer.save_pretrained(folder)")  # fmt: skip
    for module in ("fastapi", "uvicorn"):
        require(module, "tokenprune", "serve")
    from transformers.cli.serve import Serve
    from transformers.cli.serving import chat_completion, completion, model_manager

    class Manager(model_manager.ModelManager):
        def _load_model(self, *args: Any, **more: Any) -> Any:
            language = super()._load_model(*args, **more)
            return with_sparsity(on(language.eval()).attach())

    places = [(chat_completion, "ChatCompletionHandler"), (completion, "CompletionHandler")]
    with mock.patch.object(model_manager, "ModelManager", Manager):  # read by `Serve` when it is made
        for module, kind in places:
            mock.patch.object(module, kind, _taking(getattr(module, kind))).start()
        try:
            Serve(name, host=host, port=port, device=device)
        finally:
            mock.patch.stopall()


def with_sparsity(pruner: Any) -> Any:
    """The pruner's model, whose `generate` follows the sparsity that a request's generation config has."""
    model = pruner.layout.model
    own = model.generate

    def generate(*args: Any, generation_config: Any = None, **more: Any) -> Any:
        with pruner.at(getattr(generation_config, FIELD, None)):
            return own(*args, generation_config=generation_config, **more)

    model.generate = generate
    return model


def _taking(handler: Any) -> Any:
    """A handler of requests that accepts the field `sparsity`, and refuses a wrong one with status 422."""

    class Taking(handler):
        def _validate_request(self, body: dict[str, Any]) -> None:
            from fastapi import HTTPException

            from tokenprune.routers._schedule import checked_target

            super()._validate_request({name: value for name, value in body.items() if name != FIELD})
            if body.get(FIELD) is not None:
                try:
                    checked_target(body[FIELD])
                except InputError as error:
                    raise HTTPException(422, str(error).replace("target_sparsity", FIELD)) from None

        def _build_generation_config(self, body: dict[str, Any], *args: Any, **more: Any) -> Any:
            made = super()._build_generation_config(body, *args, **more)
            setattr(made, FIELD, body.get(FIELD))
            return made

    return Taking
