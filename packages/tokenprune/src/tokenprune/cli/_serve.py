"""transformers' own server with a pruner attached; a request may bring a sparsity and a question of its own.

The server runs one request at a time through `generate`, on one thread, so a request's fields hold for it and for no
other.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

from ninefold.errors import InputError, require

from tokenprune import datasets

FIELD, QUERY = "sparsity", "query"  # of a request
_LONGEST = 512  # characters of a turn that is taken for a question, some 128 tokens


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
    from transformers import AutoTokenizer
    from transformers.cli.serve import Serve
    from transformers.cli.serving import chat_completion, completion, model_manager

    tokenizer = AutoTokenizer.from_pretrained(name)

    class Manager(model_manager.ModelManager):
        def _load_model(self, *args: Any, **more: Any) -> Any:
            language = super()._load_model(*args, **more)
            return with_fields(on(language.eval()).attach(), tokenizer)

    places = [(chat_completion, "ChatCompletionHandler"), (completion, "CompletionHandler")]
    with mock.patch.object(model_manager, "ModelManager", Manager):  # read by `Serve` when it is made
        for module, kind in places:
            mock.patch.object(module, kind, _taking(getattr(module, kind))).start()
        try:
            Serve(name, host=host, port=port, device=device)
        finally:
            mock.patch.stopall()


def with_fields(pruner: Any, tokenizer: Any) -> Any:
    """The pruner's model, whose `generate` follows the sparsity and the question of a request's generation config."""
    model = pruner.layout.model
    own = model.generate

    def generate(*args: Any, generation_config: Any = None, **more: Any) -> Any:
        ids = more.get("input_ids", more.get("inputs", args[0] if args else None))
        query, text = None, getattr(generation_config, QUERY, None)
        if text and ids is not None:
            with suppress(InputError):  # a tokenizer may not give words back as they were written
                query = datasets.query_tokens(ids[0].cpu(), text, tokenizer)
        with pruner.at(getattr(generation_config, FIELD, None)), pruner.asking(query):
            return own(*args, generation_config=generation_config, **more)

    model.generate = generate
    return model


def _taking(handler: Any) -> Any:
    """A handler of requests that accepts the fields `sparsity` and `query`, and refuses wrong ones with status 422."""

    class Taking(handler):
        def _validate_request(self, body: dict[str, Any]) -> None:
            from fastapi import HTTPException

            from tokenprune.routers._schedule import checked_target

            super()._validate_request({name: value for name, value in body.items() if name not in (FIELD, QUERY)})
            if body.get(FIELD) is not None:
                try:
                    checked_target(body[FIELD])
                except InputError as error:
                    raise HTTPException(422, str(error).replace("target_sparsity", FIELD)) from None
            query = body.get(QUERY)
            if query is not None and not (isinstance(query, str) and query.strip() and query.strip() in _said(body)):
                raise HTTPException(422, "query: expected words that stand in the prompt or in a message")

        def _build_generation_config(self, body: dict[str, Any], *args: Any, **more: Any) -> Any:
            made = super()._build_generation_config(body, *args, **more)
            setattr(made, FIELD, body.get(FIELD))
            setattr(made, QUERY, body.get(QUERY) or _last_turn(body))
            return made

    return Taking


def _contents(body: dict[str, Any], role: str | None = None) -> list[str]:
    """Texts of a request's messages, of one role if it is given."""
    held = [one for one in body.get("messages") or [] if isinstance(one, dict) and role in (None, one.get("role"))]
    return [one["content"] for one in held if isinstance(one.get("content"), str)]


def _said(body: dict[str, Any]) -> str:
    """All text of a request."""
    return "\n".join([str(body.get("prompt") or ""), *_contents(body)])


def _last_turn(body: dict[str, Any]) -> str | None:
    """The last user's turn, if it is short enough to be a question; None: the question is not known."""
    turns = _contents(body, "user")
    return turns[-1] if turns and len(turns[-1]) <= _LONGEST else None
