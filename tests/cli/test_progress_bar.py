"""What a person sees while a factorization runs: plain lines, or a bar on a terminal."""

import re
import sys
from io import StringIO

import pytest

from dnmf.cli.progress import PlainLines, show_progress
from dnmf.cli.progress_bar import bar
from dnmf.events import MIB, PassDone, Planned, Sampled, Started, Stopped, StripDone

PLANNED = Planned((4000, 250), 4_000_000, 4, 1_000_000, 0, 2, 1, 160 * MIB, 512 * MIB, 20)
STOPPED = Stopped("reached max_iter = 20 passes")


def passed(iteration):
    loss, objective, error = 1234.5678 / iteration, 1240.0 / iteration, 0.25 / iteration
    return PassDone(iteration, loss, objective, error, 0.1, 1e-3, 5, 0.5, 4_000_000, None)


def test_the_plan_is_one_line():
    assert str(PLANNED) == (
        "X 4000 × 250, 4.0 MB in 4 strips of rows, 1.0 MiB; 2 workers of 1 thread: 160 of 512 MiB each"
    )
    one = Planned((2, 3), 24, 1, 24, 1, 1, 8, MIB, 2 * MIB, 1)
    assert str(one) == "X 2 × 3, 0.0 MB in 1 strip of columns, 0.0 MiB; 1 worker of 8 threads: 1 of 2 MiB each"


def test_plain_lines_are_a_plan_passes_and_an_end():
    stream = StringIO()
    listener = PlainLines(stream)
    for event in (PLANNED, Sampled(300, 0.5, 4_000_000), Started(1.5, 0.26), StripDone(1, 1, 4), passed(1), STOPPED):
        listener(event)
    assert stream.getvalue().splitlines() == [
        str(PLANNED),
        "sample of 300, 0.50 s  8 MB/s",
        "first factors, relative error 0.260000 on the sample, 1.50 s since the start",
        "pass    1  loss 1.234568e+03  relative error 0.250000  0.50 s  8 MB/s",
        "reached max_iter = 20 passes",
    ]


def test_plain_lines_grow_apart():
    stream = StringIO()
    listener = PlainLines(stream)
    for iteration in range(1, 1201):
        listener(passed(iteration))
    shown_ = [int(line.split()[1]) for line in stream.getvalue().splitlines()]
    assert shown_ == [*range(1, 10), *range(10, 100, 10), *range(100, 1000, 100), 1000]


def test_without_a_terminal_lines_are_plain(capsys):
    with show_progress(quiet=False) as (listener,):
        assert isinstance(listener, PlainLines)
        for event in (PLANNED, passed(1), STOPPED):
            listener(event)
    text = capsys.readouterr().out
    assert text.count("\n") == 3
    assert "\x1b" not in text


@pytest.mark.parametrize("stdout", [sys.stdout, None])
def test_quiet_is_quiet_and_so_is_what_has_no_stream(capsys, monkeypatch, stdout):
    monkeypatch.setattr(sys, "stdout", stdout)
    with show_progress(quiet=stdout is not None) as listeners:
        assert listeners == ()
    assert capsys.readouterr().out == ""


def drawn(where):
    """What was written since the last look, without its colours and movements."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", where.getvalue())
    where.seek(0)
    where.truncate()
    return text


def test_on_a_terminal_a_bar_follows_strips_and_passes():
    where = StringIO()
    with bar(where, force_terminal=True, width=200) as listener:
        drawing = listener._progress
        (task,) = drawing.tasks
        drawing.refresh()
        assert "starting" in drawn(where)
        listener(PLANNED)
        assert (task.total, task.completed) == (80, 0)
        listener(StripDone(0, 3, 4))
        assert task.completed == 3
        listener(Sampled(300, 0.5, 4_000_000))
        listener(StripDone(1, 3, 4))
        assert task.completed == 3
        listener(passed(1))
        assert task.completed == 4
        listener(StripDone(2, 1, 4))
        assert task.completed == 5
        drawing.refresh()
        text = drawn(where)
        assert str(PLANNED) in text
        assert "pass 2" in text
        assert "loss 1.2346e+03  relative error 0.25000  8 MB/s" in text
        assert re.search(r"at most\s+\S+\s+left", text)
        listener(STOPPED)
    assert STOPPED.reason in drawn(where)
