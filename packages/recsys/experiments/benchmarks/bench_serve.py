"""The service under load from the same machine: a closed loop of 64 connections, and a steady rate of requests.

`python bench_serve.py [workers]` serves a factor model of 50,000 items and 64 factors and asks from this process. Beside
it, in turn on the same workers, an application that only makes the product and picks ten: what serving itself costs.
While the steady load runs, a new model takes the folder's place and a worker is killed; failures are counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import recsys
from ninefold.measure import emit

USERS, ITEMS, FACTORS, CONNECTIONS, RATE = 20_000, 50_000, 64, 64, 400


def make_model(folder: Path) -> None:
    """A fitted model of the size above; its quality does not matter here."""
    draw = np.random.default_rng(0)
    user, item = draw.integers(0, USERS, 600_000), np.minimum(draw.pareto(1.0, 600_000) * 300, ITEMS - 1).astype(int)
    item[:ITEMS] = np.arange(ITEMS)
    data = recsys.Dataset.from_frame({"user": user, "item": item}, user="user", item="item")
    model = recsys.IALS(factors=1, epochs=1).fit(data).set_params(factors=FACTORS)
    for name, rows in (("user_factors_", len(model.user_ids_)), ("item_factors_", len(model.item_ids_))):
        setattr(model, name, draw.standard_normal((rows, FACTORS), np.float32))
    model.save(folder, force=True)


class Connection(asyncio.Protocol):
    """One keep-alive connection that sends a request and waits for its answer."""

    def __init__(self) -> None:
        self.buffer, self.future = b"", None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, mark, body = self.buffer.partition(b"\r\n\r\n")
        if mark:
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            if len(body) >= length:
                self.buffer = b""
                if self.future is not None and not self.future.done():
                    self.future.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self.future is not None and not self.future.done():
            self.future.set_exception(ConnectionResetError())

    async def ask(self, user: int) -> int:
        """The status of the answer about one user."""
        body = json.dumps({"users": [user]}).encode()
        self.future = asyncio.get_running_loop().create_future()
        self.transport.write(b"POST /recommend HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return await self.future


async def connected(port: int) -> Connection:
    """A new connection."""
    return (await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port))[1]


async def closed(port: int, seconds: float, connections: int) -> dict:
    """As many lists as connections that always wait for one can get."""
    counts, times = {"ok": 0, "failed": 0}, []
    end = time.perf_counter() + seconds

    async def one(number: int) -> None:
        line = await connected(port)
        draw = np.random.default_rng(number)
        while (start := time.perf_counter()) < end:
            try:
                status = await line.ask(int(draw.integers(USERS)))
            except ConnectionError:
                counts["failed"] += 1
                line = await connected(port)
                continue
            counts["ok" if status == 200 else "failed"] += 1
            times.append(time.perf_counter() - start)
        line.transport.close()

    await asyncio.gather(*(one(number) for number in range(connections)))
    return {
        "lists_a_second": round(counts["ok"] / seconds, 1),
        "failed": counts["failed"],
        "p50_ms": round(float(np.quantile(times, 0.5)) * 1e3, 2),
        "p99_ms": round(float(np.quantile(times, 0.99)) * 1e3, 2),
    }


async def steady(port: int, seconds: float, rate: float, happen: list) -> dict:
    """Requests at a steady rate, whether or not answers came; times count from the moment at which each was due."""
    idle, times, failed = [await connected(port) for _ in range(16)], [], []
    start, tasks = time.perf_counter(), []

    async def one(due: float) -> None:
        line = idle.pop() if idle else await connected(port)
        try:
            status = await line.ask(int(due * 1e6) % USERS)
        except ConnectionError:
            failed.append("reset")
            return
        idle.append(line)
        times.append(time.perf_counter() - due)
        if status != 200:
            failed.append(status)

    for number in range(int(seconds * rate)):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
        while happen and time.perf_counter() - start > happen[0][0]:
            happen.pop(0)[1]()
    await asyncio.gather(*tasks)
    return {
        "rate": rate,
        "failed": len(failed),
        "p50_ms": round(float(np.quantile(times, 0.5)) * 1e3, 2),
        "p99_ms": round(float(np.quantile(times, 0.99)) * 1e3, 2),
    }


def start(folder: Path, workers: int) -> tuple[subprocess.Popen, int]:
    """(the server's process, its port)."""
    command = [
        str(Path(sys.executable).with_name("recsys")),
        "serve",
        str(folder),
        "--port",
        "0",
        "--workers",
        str(workers),
        "--events",
        str(folder.parent / "events.sqlite"),
    ]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    line = server.stderr.readline()
    return server, int(line.split(":")[2].split("/")[0])


def ready(port: int) -> None:
    """Wait until /health is 200."""
    import urllib.request

    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError


def processor(process: int) -> float:
    """Seconds of processor time that the workers of a server have taken."""
    fields = [Path(f"/proc/{one}/stat").read_text().rpartition(") ")[2].split() for one in children(process)]
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


def children(process: int) -> list[int]:
    """Workers of a server."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [one for one in map(int, found) if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def main() -> None:
    workers, seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 2, float(sys.argv[2]) if len(sys.argv) > 2 else 8.0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        make_model(folder)
        server, port = start(folder, workers)
        try:
            ready(port)
            asyncio.run(closed(port, 2.0, CONNECTIONS))  # both workers warm
            before, mine = processor(server.pid), time.process_time()
            found = asyncio.run(closed(port, seconds, CONNECTIONS))
            lists = found["lists_a_second"] * seconds
            cost = {"service_processor_ms": (processor(server.pid) - before) / lists * 1e3,
                    "client_processor_ms": (time.process_time() - mine) / lists * 1e3}  # fmt: skip
            cost["lists_a_second_of_two_free_cores"] = 2e3 / sum(cost.values())
            what = f"closed loop, {CONNECTIONS} connections, {workers} workers, {ITEMS} items"
            emit(what=what, **found, **{name: round(one, 3) for name, one in cost.items()})
            emit(what="steady", **asyncio.run(steady(port, seconds, RATE, [])))
            model = recsys.load(folder)
            events = [(1.0, lambda: model.save(folder, force=True))]
            emit(what="steady, a new model", **asyncio.run(steady(port, seconds, RATE, events)))
            if workers > 1:
                events = [(1.0, lambda: os.kill(children(server.pid)[0], signal.SIGKILL))]
                emit(what="steady, a worker killed", **asyncio.run(steady(port, seconds, RATE, events)))
        finally:
            server.terminate()
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()


if __name__ == "__main__":
    main()
