"""The report of a run as one page of HTML, which needs nothing but itself: no network, no server, no program.

It is set by the templates beside this file; what it says is put together in `dnmf.report.chapters`.
"""

from base64 import b64encode
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dnmf.report.chapters import Page, page_of
from dnmf.report.rank_chapters import RanksPage, ranks_page_of
from dnmf.run.ranking import Ranking, held_ranks, is_ranking, open_ranks
from dnmf.run.result import Factorization, open_run
from dnmf.stores.identity import inside
from dnmf.stores.paths import absolute, here, is_url

# What a report begins with: nothing else at its place is replaced.
MARK = "<!doctype html>\n<!-- a report of dnmf -->\n"


def write_report(run: str | Path | Factorization, out: str | Path, *, ranks: str | Path | None = None) -> Path:
    """Write a report: one HTML file that opens offline, with all there is to say of a run. X is not read.

    Parameters
    ----------
    run : path or URL of a run, or of a comparison of ranks; or what `factorize` returned.
    out : the file to write. A report that is there is replaced; anything else is not.
    ranks : path of a comparison of ranks, which says why the run has so many components. If None, the one that the run
        holds, where its rank was chosen.

    Returns
    -------
    Where it is.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run, if the ranks are those of another X, or if `out` is in the run or in X.
    FileExistsError
        If there is something else at `out`.

    Examples
    --------
    >>> import tempfile
    >>> import dnmf
    >>> from dnmf.report.page import write_report
    >>> run = dnmf.factorize([[1.0, 2.0], [2.0, 4.0]], 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(run, f"{folder}/report.html").name
    'report.html'
    """
    if not isinstance(run, Factorization) and is_ranking(run):
        if ranks is not None:
            raise ValueError(f"{run} is a comparison of ranks, and so is {ranks}: give a run, or leave out ranks")
        found = open_ranks(run)
        file = _free(out, [found.about.x.path, str(run)])
        return _write(file, _render("ranks.html", ranks_page_of(found, str(run))))
    result = run if isinstance(run, Factorization) else open_run(run)
    at = None if isinstance(run, Factorization) else str(run)
    file = _free(out, [result.about.x.path, *([at] if at else [])])
    return _write(file, _render("run.html", page_of(result, at, _ranking(run, ranks))))


def _ranking(run: str | Path | Factorization, ranks: str | Path | None) -> Ranking | None:
    """The comparison of ranks that is given, or that the run at a path holds."""
    if ranks is not None:
        return open_ranks(ranks)
    return None if isinstance(run, Factorization) else held_ranks(run)


def _write(file: Path, text: str) -> Path:
    """Write a page, whole or not at all: who looks at it meanwhile sees the one of before."""
    begun = file.with_name(f".{file.name}.partial")
    begun.write_text(text, encoding="utf-8")
    begun.replace(file)
    return file


def _render(template: str, page: Page | RanksPage) -> str:
    """A page as HTML."""
    # Names may come from anywhere, and may mean harm: all that is no template is escaped.
    setting = Environment(
        loader=PackageLoader("dnmf.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    style, script = (Markup(_source(setting, name)) for name in ("report.css", "report.js"))
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return MARK + setting.get_template(template).render(
        page=page, style=style, script=script, digest=digest, version=version("dnmf")
    )


def _source(setting: Environment, name: str) -> str:
    assert setting.loader is not None
    return setting.loader.get_source(setting, name)[0]


def _free(out: str | Path, kept: list[str]) -> Path:
    """The file to write, if nothing is lost by that."""
    file = here(out)
    for place in kept:
        if is_url(place) or Path(place).exists():
            where = absolute(place)
            if inside(absolute(file), where):
                raise ValueError(f"{out} is in {place}: choose another file for the report")
    if file.is_dir():
        raise FileExistsError(f"{out} is a folder: name a file in it, as in {file / 'report.html'}")
    if file.exists() and not _is_report(file):
        raise FileExistsError(
            f"{out} exists and is not a report of dnmf, so it is not overwritten: choose another file"
        )
    return file


def _is_report(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(MARK)) == MARK.encode()
