"""How a run stands, from what it says of itself: neither X nor a cluster is needed."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnmf.run import lease
from dnmf.run.lease import EXPIRES, Holder
from dnmf.run.opening import open_group
from dnmf.run.record import Record

# Seconds without a strip in the midst of a pass after which a run is called stalled.
PATIENCE = 600.0


# What the driver tells when it has planned a run, and after a pass.
PLANNED, PASSED = {"strips", "max_iter", "nbytes"}, {"passes", "loss", "relative_error", "seconds"}


def status(run: str | Path) -> dict[str, str]:
    """How a run stands, by name, in words.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run.
    """
    group, record = open_group(run)
    holder = lease.holder(group)
    told = {"status": _standing(record, holder)}
    if record["status"] == "running" and holder:
        told |= _progress(holder)
        told["driver"] = f"process {holder.pid} on {holder.machine}, last heard of {holder.silence:.0f} s ago"
    saved = f"pass {record['iteration']}" if record["at"] is not None else "no pass"
    error = record["relative_error"]
    told["saved"] = saved if error is None else f"{saved}, relative error {error:.6f}"
    if record["stopped"]:
        told["stopped"] = record["stopped"]
    return told


def _standing(record: Record, holder: Holder | None) -> str:
    """One word or two."""
    if record["status"] != "running":
        return str(record["status"])
    if holder is None:
        return "waiting: nobody drives it at this moment"
    if holder.free_in == 0:
        return "stalled: its process is gone; `dnmf resume` goes on with it"
    if holder.silence > EXPIRES:
        return f"stalled: its process is there, but was last heard of {holder.silence:.0f} s ago"
    now = holder.progress
    if now.get("done", 0) < now.get("strips", 0) and _since_strip(now) > PATIENCE:
        return f"stalled: no strip was done for {_since_strip(now):.0f} s; does its cluster have workers?"
    return "running"


def _since_strip(now: Mapping[str, Any]) -> float:
    """Seconds since the last strip was done."""
    return max(0.0, time.time() - float(now.get("since", math.inf)))


def _progress(holder: Holder) -> dict[str, str]:
    """What the driver told last."""
    now: Mapping[str, Any] = holder.progress
    told = {}
    if now.keys() >= PLANNED:
        name = f"pass {now['iteration']} of at most {now['max_iter']}" if now.get("iteration") else "sample"
        last = f", the last one {_since_strip(now):.0f} s ago" if "since" in now else ""
        told["pass"] = f"{name}, {now.get('done', 0)} of {now['strips']} strips{last}"
    if now.keys() >= PLANNED | PASSED and now["seconds"] > 0:
        left = (now["max_iter"] - now["passes"]) * now["seconds"]
        told["loss"] = f"{now['loss']:.6e}, relative error {now['relative_error']:.6f}"
        told["rate"] = f"{now['nbytes'] / now['seconds'] / 1e6:.0f} MB/s, {now['seconds']:.2f} s a pass"
        told["left"] = f"{_time(left)} at most"
    return told


def _time(seconds: float) -> str:
    """Seconds as hours, minutes and seconds.

    >>> _time(3725.4)
    '1:02:05'
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
