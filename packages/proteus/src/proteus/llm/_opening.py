"""A client of a model's server, whose calls are recorded in a run."""

from __future__ import annotations

import os
from pathlib import Path

from ninefold.errors import InputError

from proteus.llm._calls import Calls
from proteus.llm._client import Client
from proteus.llm._endpoint import Endpoint
from proteus.record._run_folder import Folder


def open_client(
    out: Path, what: str, *, base_url: str | None, model: str | None, data_policy: str | None = None,
    budget_usd: float | None = None, budget_tokens: int | None = None, usd_in: float | None = None,
    usd_out: float | None = None, timeout: float = 120.0,
) -> Client:  # fmt: skip
    """The client of a server, with the key of the environment variable PROTEUS_API_KEY.

    Args:
        out: run folder that records the calls. what: what needs the model, for messages.
        base_url: OpenAI-compatible server. model: its model. data_policy: see `Endpoint`.
        budget_usd, budget_tokens: hard limits. usd_in, usd_out: price of a million tokens.
        timeout: seconds without a byte after which a call has hung.
    Raises: InputError if there is no server or model, or if a budget has no price.
    """
    if not base_url or not model:
        raise InputError(what, expected="--base-url and --model: there is no default server")
    key = os.environ.get("PROTEUS_API_KEY")
    endpoint = Endpoint(base_url, model, data_policy, key,  # pyright: ignore[reportArgumentType]
                        usd_in=usd_in, usd_out=usd_out, timeout=timeout)  # fmt: skip
    return Client(endpoint, Calls(Folder(out).llm), tokens=budget_tokens, usd=budget_usd)
