"""Where a model is, what it costs, and what may be shown to it. There is no default address."""

import ipaddress
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

from ninefold.errors import InputError

DataPolicy = Literal["schema-only", "aggregate", "full"]


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine, told without a look-up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server and a model on it.

    Attributes:
        base_url: as in `http://127.0.0.1:8000/v1`.
        model: its name there.
        data_policy: `schema-only` (kinds, sizes, column names), `aggregate` (also levels, results of tests; no sample
            name or row), `full`. None is `aggregate`, on this machine only: for another one it has to be said.
        api_key: sent as a bearer token, never written anywhere.
        usd_in, usd_out: price of a million tokens of prompt and of answer; None is unknown (on this machine: free).
        timeout: seconds without a byte after which a call has hung.
        deadline: seconds that one call may take in all.
        max_tokens: longest answer.
    """

    base_url: str
    model: str
    data_policy: DataPolicy | None = None
    api_key: str | None = None
    usd_in: float | None = None
    usd_out: float | None = None
    timeout: float = 120.0
    deadline: float = 600.0
    max_tokens: int = 4096

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host, parts = None, urlsplit("")
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or parts.username:
            raise InputError("--base-url", got=repr(self.base_url), expected="as in http://127.0.0.1:8000/v1")
        if not self.model:
            raise InputError("--model", expected="the model's name on that server")
        if self.data_policy not in (None, *get_args(DataPolicy)):
            known = ", ".join(get_args(DataPolicy))
            raise InputError("--data-policy", got=repr(self.data_policy), expected=f"one of: {known}")
        if self.loopback:
            return
        if self.data_policy is None:
            raise InputError(
                "--data-policy",
                expected=f"a choice: {host} is another machine. schema-only sends no value and no name, aggregate "
                "sends results but no sample, full sends samples too",
            )
        if self.api_key and parts.scheme == "http":
            raise InputError(
                "--base-url", got="http with a key", expected="https: the key would be readable on the way"
            )

    @property
    def host(self) -> str:
        """The server's name."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def loopback(self) -> bool:
        """Whether the server is on this machine."""
        return is_loopback(self.host)

    @property
    def policy(self) -> DataPolicy:
        """The data policy that holds."""
        return self.data_policy or "aggregate"

    def usd(self, prompt: int, completion: int) -> float:
        """Price of so many tokens."""
        return (prompt * (self.usd_in or 0.0) + completion * (self.usd_out or 0.0)) / 1e6

    def check_budget(self, usd: float | None) -> None:
        """Refuse a budget in money where no price is known."""
        if usd is not None and not self.loopback and (self.usd_in is None or self.usd_out is None):
            raise InputError(
                "--budget-usd", got=usd, expected="--usd-in and --usd-out too: the price per million tokens"
            )
