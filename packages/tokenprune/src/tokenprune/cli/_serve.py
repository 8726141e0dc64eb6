"""The verb serve: transformers' own server, with a pruner attached to the model that it loads."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from ninefold.cli import Shared

from tokenprune.cli._ftp import pruner_of
from tokenprune.cli._options import Asked, Folder, Model, one_of


def serve(
    *, model: Model = "smollm2", pruner: Folder = None, sparsity: Asked = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8000, opts: Shared,
) -> None:  # fmt: skip
    """Serve a model under a pruner, with the interface of OpenAI: POST /v1/chat/completions, /v1/completions."""
    from unittest import mock

    from ninefold.errors import require

    from tokenprune import smollm2

    one_of(pruner, sparsity)
    for module in ("fastapi", "uvicorn"):
        require(module, "tokenprune", "serve")
    from transformers.cli.serve import Serve
    from transformers.cli.serving import model_manager

    class Manager(model_manager.ModelManager):
        def _load_model(self, *args: Any, **more: Any) -> Any:
            language = super()._load_model(*args, **more)
            pruner_of(language.eval(), pruner, sparsity).attach()
            return language

    with mock.patch.object(model_manager, "ModelManager", Manager):  # read by `Serve` when it is made
        Serve(str(smollm2()) if model == "smollm2" else model, host=host, port=port, device=opts.device)
