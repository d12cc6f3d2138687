"""How a run stands, from what it says of itself: neither X nor a cluster is needed."""

import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from dnmf.matrix.labels import Labels
from dnmf.run import lease
from dnmf.run.lease import EXPIRES, Holder, Progress
from dnmf.run.observed import told
from dnmf.run.opening import open_group
from dnmf.run.record import Begun, Record

# Seconds without a strip in the midst of a pass after which a run is called stalled.
PATIENCE = 600.0

Word: TypeAlias = Literal["running", "finished", "stopped", "waiting", "stalled"]


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
    observed : what of X is there, as a sentence; None where all is.
    driver : who drives it, and where it says that it stands (`driver.progress`); None where nobody does.
    silence : seconds since the driver was last heard of, or None.
    since_strip : seconds since the last strip of X was done, or None.
    """

    status: Word
    why: str
    saved: int | None
    relative_error: float | None
    stopped: str | None
    observed: str | None = None
    driver: Holder | None = None
    silence: float | None = None
    since_strip: float | None = None

    @property
    def rate(self) -> float | None:
        """Bytes of X per second in the last pass; None where nobody drives the run, or no pass is done yet."""
        now = self._progress
        return now.nbytes / now.seconds if now.nbytes is not None and now.seconds else None

    @property
    def left(self) -> timedelta | None:
        """How long the run takes at most, if all passes are as fast as the last one; None where that is not known."""
        now = self._progress
        if now.max_iter is None or now.passes is None or not now.seconds:
            return None
        return timedelta(seconds=int(max(0, now.max_iter - now.passes) * now.seconds))

    @property
    def _progress(self) -> Progress:
        return self.driver.progress if self.driver else Progress()

    def lines(self) -> dict[str, str]:
        """All of it in words, by name."""
        now = self._progress
        saved = "no pass" if self.saved is None else f"pass {self.saved}"
        error = "" if self.relative_error is None else f", relative error {self.relative_error:.6f}"
        said = {"status": f"{self.status}: {self.why}" if self.why else self.status}
        if now.strips is not None:
            name = f"pass {now.iteration} of at most {now.max_iter}" if now.iteration else "sample"
            last = "" if self.since_strip is None else f", the last one {self.since_strip:.0f} s ago"
            said["pass"] = f"{name}, {now.done} of {now.strips} strips{last}"
        if (rate := self.rate) is not None and None not in (self.left, now.loss, now.relative_error):
            said["loss"] = f"{now.loss:.6e}, relative error {now.relative_error:.6f}"
            said["rate"] = f"{rate / 1e6:.0f} MB/s, {now.seconds:.2f} s a pass"
            said["left"] = f"{self.left} at most"
        if self.driver:
            where = f"process {self.driver.pid} on {self.driver.machine}"
            said["driver"] = f"{where}, last heard of {self.silence:.0f} s ago"
        ended = {"observed": self.observed, "saved": f"{saved}{error}", "stopped": self.stopped}
        return said | {name: text for name, text in ended.items() if text}

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
    driver = holder if record.status == "running" else None
    known = record if isinstance(record, Record) else None
    return Status(
        status=word,
        why=why,
        saved=known.iteration if known and known.at is not None else None,
        relative_error=known.relative_error if known else None,
        stopped=record.stopped,
        observed=str(told(known.observed, known.x.shape, Labels())) if known and known.observed else None,
        driver=driver,
        silence=driver.silence if driver else None,
        since_strip=_since_strip(driver.progress) if driver else None,
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
    now, silence = holder.progress, _since_strip(holder.progress) or 0.0
    if now.done < (now.strips or 0) and silence > PATIENCE:
        return "stalled", f"no strip was done for {silence:.0f} s; does its cluster have workers?"
    return "running", ""


def _since_strip(now: Progress) -> float | None:
    """Seconds since the last strip was done; None before the first one."""
    return None if now.since is None else max(0.0, time.time() - now.since)
