"""Recordings as the samples of a radio: floats or integers, in a SigMF folder or any file of a receiver."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ninefold.errors import ArtifactError, InputError

from semcom.links._recording import Recording, files_of, read_header, read_samples
from semcom.phy import Waveform

DATATYPES = {
    "cf32_le": ("<f4", 0.0, 1.0), "cf32_be": (">f4", 0.0, 1.0), "ci16_le": ("<i2", 0.0, 8000.0),
    "ci16_be": (">i2", 0.0, 8000.0), "ci8": ("i1", 0.0, 32.0), "cu8": ("u1", 127.5, 32.0),
}  # fmt: skip
"""Numbers of each form, their zero, and the root of their mean square."""
_ENDINGS = {"fc32": "cf32_le", "cfile": "cf32_le", "cs16": "ci16_le", "sc16": "ci16_le", "cs8": "ci8"}


def save_waveform(
    recording: Recording, folder: str | Path, *, datatype: str = "cf32_le", rate: float = 1e6,
    waveform: Waveform | None = None, force: bool = False,
) -> int:  # fmt: skip
    """Write a recording as samples to send, with its header; returns how many.

    Args:
        datatype: one of `DATATYPES`.
        rate: samples a second.
    """
    if datatype not in DATATYPES:
        raise InputError("datatype", got=repr(datatype), expected=f"one of {', '.join(DATATYPES)}")
    if not 0 < rate < 1e12:
        raise InputError("rate", got=rate, expected="samples a second")
    waveform, (kind, zero, size) = waveform or Waveform(), DATATYPES[datatype]
    samples = waveform.modulate(recording.symbols.ravel())
    values = samples.view(np.float32) * np.float32(size / np.sqrt(np.mean(np.abs(samples) ** 2) / 2)) + zero
    if np.dtype(kind).kind != "f":
        limits = np.iinfo(kind)
        values = np.clip(np.round(values), limits.min, limits.max)
    more = {"core:datatype": datatype, "core:sample_rate": rate, "semcom:waveform": dict(vars(waveform)),
            "semcom:symbols": recording.symbols.size}  # fmt: skip
    recording.write(folder, values.astype(kind).tobytes(), more, force=force)
    return len(samples)


def load_waveform(path: str | Path, like: str | Path | None = None, datatype: str | None = None) -> Recording:
    """The symbols of recorded samples, found wherever they begin.

    Args:
        path: a folder of `save_waveform`, one of its files, or a file of samples that a receiver wrote.
        like: the recording that was sent (as symbols or samples), whose header the file does not have.
        datatype: of a file without a header; its ending if left out.
    Raises:
        ArtifactError, InputError: if a file is missing or damaged, or has no preamble; says which.
    """
    path = Path(path)
    if like is None:
        if path.is_file() and not path.suffix.startswith(".sigmf"):
            raise InputError("--like", where=path, expected="what was sent, whose header this file does not have")
        header_path, data_path = files_of(path)
        header = read_header(header_path)
        datatype = str(header.get("core:datatype"))
        if "semcom:waveform" not in header:
            raise ArtifactError(header_path, "holds symbols, not samples: `channel modulate` makes the samples")
    else:
        header_path, data_path = files_of(Path(like))[0], path
        header = read_header(header_path)
        endings = _ENDINGS | {name.removesuffix("_le"): name for name in DATATYPES}
        datatype = datatype or endings.get(path.suffix[1:].lower())
        if path.is_dir() or path.suffix.startswith(".sigmf"):
            data_path, datatype = _of_receiver(path, header.get("core:sample_rate"), datatype)
    if datatype not in DATATYPES:
        got, expected = datatype or "a file whose ending does not tell it", f"--type: {', '.join(DATATYPES)}"
        raise InputError("datatype", where=path, got=got, expected=expected)
    kind, zero, _ = DATATYPES[datatype]
    data = read_samples(data_path, header if like is None else {}, 2 * np.dtype(kind).itemsize)
    about = header.get("semcom:about")
    count = header.get("semcom:symbols", about.get("symbols") if isinstance(about, dict) else None)
    if not isinstance(count, int) or not 0 < count < len(data):
        reason = f"has {len(data)} bytes for {count!r} symbols: it is truncated, or its header is wrong"
        raise ArtifactError(path, reason)
    try:
        waveform = Waveform(**header.get("semcom:waveform", {}))
        values = (np.frombuffer(data, kind).astype(np.float32) - np.float32(zero)).view(np.complex64)
        heard = waveform.receive(values, count)
    except TypeError:
        raise ArtifactError(header_path, "is damaged: its waveform makes no sense") from None
    recording = Recording.of_header(header, heard.symbols[None], header_path)
    rate = header.get("core:sample_rate", 1e6)
    rate = float(rate) if isinstance(rate, int | float) else 1e6
    recording.about["receiver"] = {
        "snr_db": round(heard.snr_db, 2), "offset_hz": round(heard.offset * rate, 1),
        "drift_hz": round(heard.drift * rate, 2), "dc": round(heard.dc, 3), "echo_db": round(heard.echo_db, 1),
        "corrected": list(heard.corrected), "warnings": heard.warnings,
    }  # fmt: skip
    return recording


def _of_receiver(path: Path, rate: float | None, datatype: str | None) -> tuple[Path, str | None]:
    """Samples and their type in a SigMF recording that a receiver wrote, at the sender's samples a second."""
    header_path, data_path = files_of(path)
    try:
        header = json.loads(header_path.read_text(encoding="utf-8"))["global"]
        own, known = header.get("core:sample_rate", rate), header.get("core:datatype")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(header_path, f"is no SigMF header ({error})") from None
    if header.get("core:num_channels", 1) != 1:
        raise InputError("channels", where=header_path, got=header["core:num_channels"], expected="1")
    if rate and own != rate:
        expected = f"the sender's, {rate:g}: resample the recording"
        raise InputError("sample rate", where=header_path, got=own, expected=expected)
    return data_path, datatype or known
