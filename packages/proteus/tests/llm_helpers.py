"""A scripted server and a client beside it, for several tests."""

import contextlib
from pathlib import Path

from proteus.llm._calls import Calls
from proteus.llm._client import Client
from proteus.llm._endpoint import Endpoint
from proteus.llm._prompt import prompt
from proteus.record._objects import Record
from proteus_experiments.scripted._fake_server import FakeLLM
from proteus_experiments.scripted._script import Fault, Script, Turn


class Interpretation(Record):
    """An answer of one sentence."""

    summary: str


ECHO = Turn(task="interpret_step", template='{"summary": {{ payload.words | tojson }}}')


def script(*faults, **fields):
    made = [Fault.model_validate(one) for one in faults]
    return Script(format="proteus.script", format_version=1, **{"turns": [ECHO], "faults": made, **fields})


@contextlib.contextmanager
def serving(folder: Path, *faults, client=None, endpoint=None, **fields):
    """(server, client on it); the client does not sleep, it notes how long it would in `client.waits`."""
    with FakeLLM(script(*faults, **fields)) as fake:
        yield fake, client_of(fake.base_url, folder, endpoint, **(client or {}))


def client_of(base_url, folder, endpoint=None, **options):
    waits = []
    made = Client(Endpoint(base_url, "fake", **(endpoint or {})), Calls(folder), sleep=waits.append, **options)
    made.waits = waits  # type: ignore[attr-defined]
    return made


def ask(client, words="up", sample=0):
    messages = prompt("interpret_step", "Interpret.", {"words": words})
    return client.ask("interpret_step", messages, Interpretation, sample=sample).summary


def statuses(fake):
    """Of all requests but the probes."""
    return [one["status"] for one in fake.requests if "Task: probe" not in str(one["messages"])]
