"""The report of a run: what it says is so, whatever the run; X is not read for it; nothing of a user's is replaced."""

import re
import shutil
from html import unescape
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr
from commands import command
from report_data import SCRIPT, parts
from scipy import sparse

import dnmf
from dnmf.report.page import write_report

TWO_MB = 2_000_000


def _text(page: Path) -> str:
    """What a page shows, without its tags, in one line."""
    body = page.read_text(encoding="utf-8").partition("<body>")[2].partition("<script>")[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_names_that_mean_harm_are_only_shown(named, tmp_path):
    page = write_report(named, tmp_path / "report.html")
    source = page.read_text(encoding="utf-8")
    assert source.count("<script>") == source.count("</script>") == 1
    assert "onerror=alert" in source
    assert "<img" not in source
    text = _text(page)
    for name in (SCRIPT, "{{ 7 * 7 }}", "基因-α", "שלום עולם", "a" * 150):
        assert name in text


@pytest.mark.parametrize("names", [None, [f"{'very_long_name_of_a_feature_' * 4}{i}" for i in range(200)]])
def test_a_page_of_sixty_components_is_small(names, tmp_path):
    X = pd.DataFrame(parts(300, 200, 60), columns=names, index=None if names is None else [*names, *names[:100]])
    run = dnmf.factorize(X, 60, max_iter=1)
    page = write_report(run, tmp_path / "report.html")
    assert page.stat().st_size < TWO_MB
    assert _text(page).count("What leads it") == 60
    assert "run.zarr stands for the path of this run" in _text(page)


def test_no_number_of_x_is_read(plain, tmp_path):
    shutil.copytree(plain.parent / "X.zarr", tmp_path / "X.zarr")
    run = dnmf.factorize(tmp_path / "X.zarr", 3, out=tmp_path / "run.zarr")
    before = _text(write_report(tmp_path / "run.zarr", tmp_path / "report.html"))
    assert "0 of 3 chunks" in before
    chunks = [file for file in (tmp_path / "X.zarr" / "c").rglob("*") if file.is_file()]
    assert len(chunks) == 3
    for chunk in chunks:
        chunk.write_bytes(b"no chunk of any codec")
    with pytest.raises(RuntimeError):
        zarr.open_array(tmp_path / "X.zarr")[:]
    assert _text(write_report(tmp_path / "run.zarr", tmp_path / "report.html")) == before
    shutil.rmtree(tmp_path / "X.zarr")
    assert "X does not open" in _text(write_report(tmp_path / "run.zarr", tmp_path / "report.html"))
    assert run.reads < 4


def test_of_the_long_factor_one_chunk_is_read_at_a_time(plain, tmp_path, sizes, monkeypatch):
    sizes(strip=2**14)
    run = dnmf.factorize(plain.parent / "X.zarr", 3, init="random", max_iter=2, out=tmp_path / "run.zarr")
    assert len(run.W.chunks[0]) > 1
    heights, compute = [], da.Array.__array__

    def noted(self, *args, **kwargs):
        heights.append(self.shape[0])
        return compute(self, *args, **kwargs)

    monkeypatch.setattr(da.Array, "__array__", noted)
    write_report(tmp_path / "run.zarr", tmp_path / "report.html")
    assert heights == list(run.W.chunks[0])


@pytest.mark.parametrize("kind", ["kullback-leibler", "without W", "sparse", "stopped", "one pass", "one component"])
def test_whatever_the_run_is_its_report_says_so(kind, plain, tmp_path):
    X, out = parts(60, 12, 2), tmp_path / "run.zarr"
    if kind == "kullback-leibler":
        dnmf.factorize(np.ceil(X), 2, solver="mu", beta_loss="kullback-leibler", max_iter=4, out=out)
        said = ["by the Kullback–Leibler divergence", "The share of a component is what it adds to the sum of X"]
    elif kind == "without W":
        dnmf.factorize(X, 2, keep_W=False, out=out)
        said = ["keep_W False"]
    elif kind == "sparse":
        dnmf.factorize(sparse.csr_array(X * (X > 0.3)), 2, out=out)
        said = ["sparse, float32"]
    elif kind == "stopped":
        with pytest.raises(KeyboardInterrupt):
            dnmf.factorize(X, 2, init="random", tol=0, checkpoint_every=1, out=out, listeners=[_interrupt()])
        said = ["It was stopped before its end", f"dnmf resume {out}", "Status stopped"]
    elif kind == "one component":
        dnmf.factorize(X, 1, out=out)
        said = ["1 component of"]
    else:
        dnmf.factorize(X, 2, max_iter=1, out=out)
        said = ["there is no curve to see", "resume", "--max-iter 2"]
    text = _text(write_report(out, tmp_path / "report.html"))
    for words in said:
        assert words in text
    assert ("Where it is strong" in text) == (kind != "without W")


def _interrupt():
    seen = []

    def listener(event):
        seen.append(event)
        if sum(type(each).__name__ == "PassDone" for each in seen) == 3:
            raise KeyboardInterrupt

    return listener


def test_numbers_are_those_of_the_run(plain, tmp_path):
    run, text = dnmf.open_run(plain), _text(write_report(plain, tmp_path / "report.html"))
    assert f"relative error {run.relative_error:.4f}" in text
    W, sizes = np.asarray(run.W).astype("f8"), run.V.astype("f8").sum(axis=1)
    shares = W * sizes / (W * sizes).sum(axis=1, keepdims=True)
    for a in range(3):
        card = text.partition(f"Component {a + 1} share")[2].partition("Along the")[0]
        assert f"leads in {(shares.argmax(axis=1) == a).sum()} of 300 rows" in card
        first = re.search(r"row drawn share (\d+) ([\d.]+) %", card)
        assert shares[int(first[1]), a] == shares[:, a].max()
        assert float(first[2]) == pytest.approx(100 * shares[:, a].max(), abs=0.05)


def test_a_comparison_of_ranks_says_why_and_how_sure(plain, ranked, tmp_path):
    found = dnmf.open_ranks(ranked)
    alone = _text(write_report(ranked, tmp_path / "ranks.html"))
    assert found.sentence in alone
    assert "Agreement of the halves" in alone
    dnmf.factorize(plain.parent / "X.zarr", 3, sample=ranked, out=tmp_path / "run.zarr")
    text = _text(write_report(tmp_path / "run.zarr", tmp_path / "run.html", ranks=ranked))
    assert found.sentence in text
    assert found.best == 3
    assert "as the comparison of ranks picks" in text
    sure = sorted(f"agreement {number:.2f}" for number in found.agreement[3])
    assert sorted(re.findall(r"agreement \d\.\d\d(?= · sparse)", text)) == sure


def test_a_run_whose_rank_was_chosen_says_why(plain, tmp_path):
    dnmf.factorize(plain.parent / "X.zarr", "2:4", out=tmp_path / "run.zarr")
    assert dnmf.open_ranks(tmp_path / "run.zarr").sentence in _text(
        write_report(tmp_path / "run.zarr", tmp_path / "report.html")
    )


def test_ranks_of_another_matrix_are_refused(ranked, tmp_path):
    dnmf.factorize(parts(30, 10, 2), 2, out=tmp_path / "run.zarr")
    with pytest.raises(ValueError, match="give a comparison of ranks of this X"):
        write_report(tmp_path / "run.zarr", tmp_path / "report.html", ranks=ranked)
    with pytest.raises(ValueError, match="give a run, or leave out ranks"):
        write_report(ranked, tmp_path / "report.html", ranks=ranked)


def test_nothing_but_a_report_is_replaced(plain, tmp_path):
    out = tmp_path / "notes.html"
    out.write_text("<!doctype html>\nmine")
    with pytest.raises(FileExistsError, match="is not a report of dnmf"):
        write_report(plain, out)
    assert out.read_text().endswith("mine")
    with pytest.raises(FileExistsError, match="is a folder"):
        write_report(plain, tmp_path)
    for place in (plain, plain.parent / "X.zarr"):
        with pytest.raises(ValueError, match="choose another file"):
            write_report(plain, place / "report.html")
    out.unlink()
    write_report(plain, out)
    first = out.read_text()
    assert write_report(plain, out) == out
    assert out.read_text() == first
    assert [file.name for file in tmp_path.iterdir()] == ["notes.html"]


def test_the_command_writes_it_and_tells_where(plain, tmp_path):
    done = command("report", plain, "--out", "report.html", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["report", "report.html"]
    assert (tmp_path / "report.html").exists()
    wrong = command("report", tmp_path / "none.zarr", "--out", "report.html", cwd=tmp_path)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)


def test_what_a_mass_is_a_share_of_is_said(tmp_path: Path) -> None:
    """Of X that is not all there the sum is not known, and not called so."""
    X = np.outer([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0])
    for holes, said in (({}, "of the sum of X "), ({(0, 1): np.nan}, "of the sum of W V ")):
        given = X.copy()
        for place, value in holes.items():
            given[place] = value
        text = write_report(dnmf.factorize(given, 1, missing="nan" if holes else None), tmp_path / "r.html").read_text()
        assert said in text
        assert ("of the sum of X " in text) == (not holes)
