"""How a run stands, from what it says of itself: neither X nor a cluster is needed."""

import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import UNSET

from dnmf.run import lease
from dnmf.run.lease import EXPIRES, Holder, Progress
from dnmf.run.opening import open_group
from dnmf.run.record import Begun, Record

# Seconds without a strip in the midst of a pass after which a run is called stalled.
PATIENCE = 600.0


Word: TypeAlias = Literal["running", "finished", "stopped", "waiting", "stalled"]


@dataclass(frozen=True, slots=True)
class RunningPass:
    """The pass that a run is in: its number (0 for the one that samples), and how many of its strips are done.

    `max_iter` is how many passes there are at most; `silence` is how many seconds ago the last strip was done, None
    before the first one.
    """

    iteration: int
    max_iter: int
    done: int
    strips: int
    silence: float | None

    def __str__(self) -> str:
        name = f"pass {self.iteration} of at most {self.max_iter}" if self.iteration else "sample"
        last = "" if self.silence is None else f", the last one {self.silence:.0f} s ago"
        return f"{name}, {self.done} of {self.strips} strips{last}"


@dataclass(frozen=True, slots=True)
class DonePass:
    """The last pass that is done: its loss and relative error, how many bytes of X and seconds it took.

    `left` is how long the run takes at most, if all passes are as fast.
    """

    loss: float
    relative_error: float
    nbytes: int
    seconds: float
    left: timedelta

    @property
    def rate(self) -> float:
        """Bytes of X per second."""
        return self.nbytes / self.seconds


@dataclass(frozen=True, slots=True)
class Driver:
    """The process that drives a run, and how many seconds ago it was last heard of."""

    pid: int
    machine: str
    silence: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.machine}, last heard of {self.silence:.0f} s ago"


@dataclass(frozen=True, slots=True)
class Status:
    """How a run stands; printed, it is what `dnmf status` tells.

    Attributes
    ----------
    status : "running", "finished" or "stopped"; "waiting" where it is to go on and nobody drives it, "stalled" where
        whoever drives it makes no progress.
    why : what there is to say of that, or an empty text.
    saved : passes that the run holds; None where it has none yet.
    relative_error : ‖X − W V‖ / ‖X‖ of what it holds, or None.
    stopped : a sentence that says why it ended, or None.
    running : the pass that it is in; None where nobody drives it or that is not known.
    done : the last pass that is done; None where nobody drives it or there is none.
    driver : the process that drives it, or None.
    """

    status: Word
    why: str
    saved: int | None
    relative_error: float | None
    stopped: str | None
    running: RunningPass | None = None
    done: DonePass | None = None
    driver: Driver | None = None

    def lines(self) -> dict[str, str]:
        """All of it in words, by name."""
        said = {"status": f"{self.status}: {self.why}" if self.why else self.status}
        if self.running:
            said["pass"] = str(self.running)
        if self.done:
            said["loss"] = f"{self.done.loss:.6e}, relative error {self.done.relative_error:.6f}"
            said["rate"] = f"{self.done.rate / 1e6:.0f} MB/s, {self.done.seconds:.2f} s a pass"
            said["left"] = f"{self.done.left} at most"
        if self.driver:
            said["driver"] = str(self.driver)
        saved = "no pass" if self.saved is None else f"pass {self.saved}"
        said["saved"] = saved if self.relative_error is None else f"{saved}, relative error {self.relative_error:.6f}"
        return said | ({"stopped": self.stopped} if self.stopped else {})

    def __str__(self) -> str:
        return "\n".join(f"{name:15s} {text}" for name, text in self.lines().items())


def status(run: str | Path) -> Status:
    """How a run stands.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run.
    """
    group, record = open_group(run)
    holder = lease.holder(group)
    word, why = _standing(record, holder)
    known = record if isinstance(record, Record) else None
    driven = holder if record.status == "running" else None
    return Status(
        status=word,
        why=why,
        saved=known.iteration if known and known.at is not None else None,
        relative_error=known.relative_error if known else None,
        stopped=record.stopped,
        running=_running(driven.progress) if driven else None,
        done=_done(driven.progress) if driven else None,
        driver=Driver(driven.pid, driven.machine, driven.silence) if driven else None,
    )


def _standing(record: Begun, holder: Holder | None) -> tuple[Word, str]:
    """One word, and what there is to say of it."""
    if record.status != "running":
        return record.status, ""
    if holder is None:
        return "waiting", "nobody drives it at this moment"
    if holder.free_in == 0:
        return "stalled", "its process is gone; `dnmf resume` goes on with it"
    if holder.silence > EXPIRES:
        return "stalled", f"its process is there, but was last heard of {holder.silence:.0f} s ago"
    now, silence = holder.progress, _silence(holder.progress)
    if now.strips is not UNSET and now.done < now.strips and silence is not None and silence > PATIENCE:
        return "stalled", f"no strip was done for {silence:.0f} s; does its cluster have workers?"
    return "running", ""


def _silence(now: Progress) -> float | None:
    """Seconds since the last strip was done; None before the first one."""
    return None if now.since is UNSET else max(0.0, time.time() - now.since)


def _running(now: Progress) -> RunningPass | None:
    if now.strips is UNSET or now.max_iter is UNSET:
        return None
    return RunningPass(now.iteration, now.max_iter, now.done, now.strips, _silence(now))


def _done(now: Progress) -> DonePass | None:
    told = (now.max_iter, now.nbytes, now.passes, now.loss, now.relative_error, now.seconds)
    match told:
        case (int(most), int(nbytes), int(passes), float(loss), float(error), float(seconds)) if seconds > 0:
            return DonePass(loss, error, nbytes, seconds, timedelta(seconds=int(max(0, most - passes) * seconds)))
    return None
