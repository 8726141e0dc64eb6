"""The verb serve: transformers' own server, with a pruner attached to the model that it loads."""

from __future__ import annotations

from typing import Annotated, Any

from ninefold.cli import Shared
from typer import Option

from tokenprune.cli._ftp import Pruned


def serve(
    *, pruned: Pruned, host: Annotated[str, Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, Option(min=1, max=65535)] = 8000, opts: Shared,
) -> None:  # fmt: skip
    """Serve a model under a pruner, with the interface of OpenAI: POST /v1/chat/completions, /v1/completions."""
    from unittest import mock

    from ninefold.errors import require

    from tokenprune import smollm2

    _ = pruned.target
    for module in ("fastapi", "uvicorn"):
        require(module, "tokenprune", "serve")
    from transformers.cli.serve import Serve
    from transformers.cli.serving import model_manager

    class Manager(model_manager.ModelManager):
        def _load_model(self, *args: Any, **more: Any) -> Any:
            language = super()._load_model(*args, **more)
            pruned.on(language.eval()).attach()
            return language

    with mock.patch.object(model_manager, "ModelManager", Manager):  # read by `Serve` when it is made
        Serve(str(smollm2()) if pruned.model == "smollm2" else pruned.model, host=host, port=port, device=opts.device)
