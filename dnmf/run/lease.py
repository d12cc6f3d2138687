"""The lease of a run: one process at a time drives it, shows that it is alive, and learns that it shall stop.

Lease and cancellation are groups of their own in the run, `lease` and `cancel`: what several processes write must not
be in the record, which the driver replaces as a whole. The attributes of `lease` are those of `Holder`, its token null
where nobody holds it.

Each lease has a turn, one more than the one before. Who takes it creates the group `lease/turn-N`, which a store lets
only one do: `dnmf.stores.exclusive`. It holds if then nothing has changed and there is no later turn; it gives its turn
back with the lease. So what was written late, by a process that slept, makes nobody a holder.

On the same machine a lease is free as soon as its process has ended. Elsewhere that cannot be seen: there it is free a
minute after the last beat. Clocks of machines must agree within some seconds for that.
"""

import math
import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import msgspec
import psutil
import zarr
from msgspec import Meta

from dnmf.events import Cancelled, Event, PassDone, Planned, StripDone
from dnmf.run.record import Count, Number, open_below, refusal
from dnmf.stores.exclusive import create_if_absent
from dnmf.stores.paths import shown
from dnmf.validation import validated

# Seconds between two beats, and after the last one until a lease is free for other machines.
BEAT, EXPIRES = 5.0, 60.0

# Seconds within which a process that claims a turn in vain has given it up.
GIVEN_UP = 2.0

# The tokens of the leases that this process holds.
LIVE: set[str] = set()


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the driver of a run stands; None for what it has not told yet.

    Attributes
    ----------
    leg : number of the driver in a relay of them, 0 where there is none.
    strips, nbytes, max_iter : of the plan: strips, bytes of X, and passes at most.
    iteration, done, since : the pass that runs (0 samples), strips of it that are done, and when the last one was,
        seconds since 1970.
    passes, loss, relative_error, seconds : of the last pass that is done: its number, what it gave, and its time.
    """

    leg: Count = 0
    strips: Count | None = None
    nbytes: Count | None = None
    max_iter: Count | None = None
    iteration: Count = 0
    done: Count = 0
    since: Number | None = None
    passes: Count | None = None
    loss: float | None = None
    relative_error: Number | None = None
    seconds: Number | None = None

    def after(self, event: Event) -> "Progress":
        """Where the driver stands after an event."""
        match event:
            case Planned():
                new: dict[str, float] = {"strips": event.strips, "nbytes": event.nbytes, "max_iter": event.max_iter}
            case StripDone():
                new = {"iteration": event.iteration, "done": event.done, "since": time.time()}
            case PassDone():
                new = {name: getattr(event, name) for name in ("loss", "relative_error", "seconds")}
                new["passes"] = event.iteration
            case _:
                return self
        # What is no number has no place in JSON.
        return msgspec.structs.replace(self, **{name: x for name, x in new.items() if math.isfinite(x)})


@dataclass(frozen=True, slots=True)
class Holder:
    """Who drives a run, and what was heard last.

    Attributes
    ----------
    token : of this lease.
    host : its machine and space of process numbers.
    pid, started : its process, and when that was started, seconds since 1970.
    beat : when it last said that it is alive, seconds since 1970, by its own clock.
    progress : where it stands.
    turn : how many leases of this run there were, this one too.
    """

    token: str
    host: str
    pid: Annotated[int, Meta(ge=1, le=2**31)]
    started: Number
    beat: Number
    progress: Progress = field(default_factory=Progress)
    turn: Count = 0

    @property
    def silence(self) -> float:
        """Seconds since the last beat."""
        return max(0.0, time.time() - self.beat)

    @property
    def machine(self) -> str:
        """The name of its machine."""
        return self.host.partition("@")[0]

    @property
    def here(self) -> bool:
        """Whether the holder is on this machine."""
        return self.host == host()

    @property
    def _given_up(self) -> bool:
        """Whether this very process held it, and does not any more."""
        return self.pid == os.getpid() and self.token not in LIVE

    @property
    def free_in(self) -> float:
        """Seconds until the lease is free if nothing more is heard; infinite while its process is seen to live."""
        if self.here:
            return float("inf") if _runs(self.pid, self.started) and not self._given_up else 0.0
        return max(0.0, EXPIRES - self.silence)


def host() -> str:
    """This machine, as far as numbers of processes mean the same: containers have their own."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}@{space}"


def _runs(pid: int, started: float) -> bool:
    """Whether that very process, and not a later one with its number, is still there."""
    try:
        process = psutil.Process(pid)
        return bool(abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def holder(group: zarr.Group) -> Holder | None:
    """Who holds the lease of a run, or takes it now, alive or not; None where nobody does.

    Raises
    ------
    ValueError
        If what is there is no lease.
    """
    found = [each for each in (_holder_in(group, "lease"), *_later(group, _turn(group))) if each]
    return next((each for each in found if each.free_in > 0), found[-1] if found else None)


def _holder_in(group: zarr.Group, name: str) -> Holder | None:
    """Who is named by a group below a run; None where nobody is."""
    found = _attributes(group, name)
    if not found.get("token"):
        return None
    where = shown(group.store_path)
    return validated(found, Holder, lambda wrong: refusal(where, wrong.of("its lease")))


def _turn(group: zarr.Group) -> int:
    """How many leases of a run there were, as far as the last holder has said."""
    turn = _attributes(group, "lease").get("turn")
    return turn if isinstance(turn, int) else 0


def _later(group: zarr.Group, turn: int) -> list[Holder]:
    """Who has taken the turns after one, in order."""
    found: list[Holder] = []
    while claimed := _holder_in(group, claim(turn + len(found) + 1)):
        found.append(claimed)
    return found


def claim(turn: int) -> str:
    """The group of who takes a turn."""
    return f"lease/turn-{turn}"


class Busy(RuntimeError):  # noqa: N818, it is no error of anybody
    """Another process holds the lease."""


def check_free(group: zarr.Group) -> None:
    """Raise Busy where another process holds the lease of a run."""
    found = holder(group)
    if found and found.free_in > 0:
        when = "" if found.here else f", or was {found.silence:.0f} s ago: the run is free in {found.free_in:.0f} s"
        raise Busy(
            f"process {found.pid} on {found.machine} is at work on the run {shown(group.store_path)}{when}: wait for "
            f"it, or end it with `dnmf cancel`"
        )


def cancel(group: zarr.Group) -> None:
    """Ask whoever drives a run to stop."""
    _write(group, "cancel", {"asked": True})


def let_go_on(group: zarr.Group) -> None:
    """Take a cancellation back."""
    if is_cancelled(group):
        _write(group, "cancel", {"asked": False})


def is_cancelled(group: zarr.Group) -> bool:
    """Whether a run was asked to stop."""
    return bool(_attributes(group, "cancel").get("asked"))


def _attributes(group: zarr.Group, name: str) -> dict[str, object]:
    """The attributes as they are in the store now; none where there is no such group."""
    try:
        return dict(open_below(group, name).attrs)
    except FileNotFoundError:
        return {}


def _write(group: zarr.Group, name: str, attributes: Mapping[str, object]) -> None:
    """Replace the attributes: one write of one key."""
    open_below(group, name, "a").update_attributes(dict(attributes))


class Lease:
    """The lease of a run, held while its block runs; also a listener, which keeps what the beats tell.

    Not pure: a thread writes a beat every few seconds. `leg` is the driver's number in a relay of them.
    """

    def __init__(self, group: zarr.Group, *, leg: int = 0) -> None:
        process = psutil.Process()
        self._group, self._progress = group, Progress(leg=leg)
        self._mine = Holder(uuid4().hex, host(), process.pid, process.create_time(), time.time())
        self._ended, self._cancelled = threading.Event(), False
        self._beats = threading.Thread(target=self._beat, name="dnmf-lease", daemon=True)

    def __enter__(self) -> "Lease":
        """Take the lease.

        Raises
        ------
        Busy
            If another process holds it.
        """
        LIVE.add(self._mine.token)
        try:
            self._take()
            self._beats.start()
        except BaseException:
            LIVE.discard(self._mine.token)
            raise
        return self

    def _take(self) -> None:
        """Take the next turn, unless the lease is held; then say so in `lease`."""
        group, last = self._group, _turn(self._group)
        ended = _later(group, last)
        check_free(group)
        self._mine = replace(self._mine, turn=last + len(ended) + 1)
        mine = claim(self._mine.turn)
        create_if_absent(group, mine, msgspec.to_builtins(self._mine))
        # Of those that saw the same turns one has created the group; who saw them long ago finds that others came, also
        # in the place of one that it saw, who gave up.
        after = [each.token for each in _later(group, last)]
        if _turn(group) != last or after != [*(each.token for each in ended), self._mine.token]:
            found = _holder_in(group, mine)
            if found and found.token == self._mine.token:
                del group[mine]
            raise Busy(f"another process was faster to take the run {shown(group.store_path)}: wait for it")
        self._write()
        for turn in range(max(1, last), self._mine.turn):
            del group[claim(turn)]

    def __exit__(self, *error: object) -> None:
        """Give the lease back, if it is still held."""
        self._ended.set()
        self._beats.join()
        try:
            with suppress(OSError):
                if self._is_mine():
                    _write(self._group, "lease", {"token": None})
                    del self._group[claim(self._mine.turn)]
        finally:
            # Now it is free, whether or not that could be written; before, another's could have been overwritten.
            LIVE.discard(self._mine.token)

    def check(self) -> None:
        """Raise RuntimeError where another process has taken the lease: then nothing more may be written."""
        if not self._is_mine():
            raise RuntimeError(
                f"another process has taken over the run {shown(self._group.store_path)}, as nothing was heard of this "
                f"one for {EXPIRES:.0f} s: this one writes nothing more"
            )

    def __call__(self, event: Event) -> None:
        """Note where the run stands.

        Raises
        ------
        Cancelled
            If the run was asked to stop.
        """
        if self._cancelled:
            raise Cancelled
        self._progress = self._progress.after(event)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            # What cannot be read or written now can be in a few seconds, or the run itself will tell of it.
            with suppress(Exception):
                self._cancelled = self._cancelled or is_cancelled(self._group)
            with suppress(Exception):
                if self._is_mine():
                    self._write()

    def _is_mine(self) -> bool:
        """Whether nobody else has taken the lease. Of who claims the next turn we hear soon whether it was given up."""
        until = time.monotonic() + GIVEN_UP
        while (now := _holder_in(self._group, "lease")) and now.token == self._mine.token:
            if not _later(self._group, self._mine.turn):
                return True
            if time.monotonic() > until:
                break
            time.sleep(0.05)
        return False

    def _write(self) -> None:
        now = replace(self._mine, beat=time.time(), progress=self._progress)
        _write(self._group, "lease", msgspec.to_builtins(now))
