"""R's limma and survival as a check where R is installed: numbers and seconds, by their public functions."""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from ninefold.errors import NinefoldError

_FIT = """
suppressMessages(library(limma))
args <- commandArgs(TRUE); P <- as.integer(args[2]); N <- as.integer(args[3]); K <- as.integer(args[4])
at <- function(name) file.path(args[1], name)
y <- matrix(readBin(at("y"), "double", P * N), P, N, byrow = TRUE); y[is.nan(y)] <- NA
X <- matrix(readBin(at("X"), "double", N * K), N, K, byrow = TRUE)
contrast <- readBin(at("c"), "double", K)
flags <- as.logical(as.integer(args[5:8])); lfc <- as.double(args[9]); legacy <- if (flags[3]) TRUE else NULL
w <- if (flags[4]) matrix(readBin(at("w"), "double", P * N), P, N, byrow = TRUE) else NULL
taken <- system.time({
  fit <- contrasts.fit(lmFit(y, X, weights = w), contrast)
  fit <- if (lfc > 0) treat(fit, lfc = lfc, trend = flags[1], robust = flags[2], legacy = legacy) else
    eBayes(fit, trend = flags[1], robust = flags[2], legacy = legacy)
})[["elapsed"]]
prior <- c(rep_len(fit$df.prior, P), rep_len(fit$s2.prior, P))
writeBin(c(taken, prior, fit$t[, 1], fit$p.value[, 1], fit$sigma), at("out"))
"""
_COX = """
suppressMessages(library(survival))
args <- commandArgs(TRUE); P <- as.integer(args[2]); N <- as.integer(args[3])
at <- function(name) file.path(args[1], name)
x <- matrix(readBin(at("y"), "double", P * N), P, N, byrow = TRUE)
time <- readBin(at("time"), "double", N); event <- readBin(at("event"), "double", N)
taken <- system.time(b <- apply(x, 1, function(v) coxph(Surv(time, event) ~ v)$coefficients))[["elapsed"]]
writeBin(c(taken, b), at("out"))
"""


@functools.cache
def has_r(*packages: str) -> bool:
    """Whether Rscript is there and loads the packages."""
    if shutil.which("Rscript") is None:
        return False
    code = "; ".join(f"suppressMessages(library({name}))" for name in packages)
    return subprocess.run(["Rscript", "-e", code], capture_output=True, check=False).returncode == 0


def limma(
    values: np.ndarray,
    design: np.ndarray,
    contrast: np.ndarray,
    *,
    trend: bool = False,
    robust: bool = False,
    legacy: bool = False,
    weights: np.ndarray | None = None,
    lfc: float = 0.0,
) -> dict[str, np.ndarray]:
    """lmFit, contrasts.fit and eBayes (treat for `lfc` above zero): seconds, and (P,) d0, s0_squared, t, p, sigma.

    `weights` are (P, N), or (N,) for all rows alike.

    Raises:
        NinefoldError: if R or limma is missing, or R fails.
    """
    if not has_r("limma"):
        raise NinefoldError("this check needs R with limma, e.g. apt install r-bioc-limma")
    p, n = values.shape
    words = [p, n, design.shape[1], int(trend), int(robust), int(legacy), int(weights is not None), float(lfc)]
    files = {"y": values, "X": design, "c": np.asarray(contrast, float)}
    if weights is not None:
        files["w"] = np.broadcast_to(np.asarray(weights, float), (p, n))
    out = _run(_FIT, files, words)
    keys = ("d0", "s0_squared", "t", "p", "sigma")
    parts = {key: out[1 + place * p : 1 + (place + 1) * p] for place, key in enumerate(keys)}
    return {"seconds": out[:1], **parts}


def coxph(values: np.ndarray, time: np.ndarray, event: np.ndarray) -> dict[str, np.ndarray]:
    """coxph of each row: seconds, and (P,) coefficients."""
    if not has_r("survival"):
        raise NinefoldError("this check needs R with survival, e.g. apt install r-cran-survival")
    files = {"y": values, "time": np.asarray(time, float), "event": np.asarray(event, float)}
    out = _run(_COX, files, list(values.shape))
    return {"seconds": out[:1], "coefficients": out[1:]}


def _run(script: str, files: dict[str, np.ndarray], words: list[int | float]) -> np.ndarray:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "script.R").write_text(script)
        for key, array in files.items():
            np.ascontiguousarray(array, dtype="<f8").tofile(folder / key)
        command = ["Rscript", str(folder / "script.R"), name, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NinefoldError(f"R failed: {done.stderr.strip().splitlines()[-1] if done.stderr else 'no message'}")
        return np.fromfile(folder / "out", dtype="<f8")
