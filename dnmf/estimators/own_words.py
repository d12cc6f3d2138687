"""Errors of what estimators call, without advice that names an option that an estimator has not."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from dnmf.matrix.missing import ALLOW, SAY_SO


@contextmanager
def in_own_words(*, missing: bool) -> Iterator[None]:
    """What goes on inside raises ValueError in an estimator's words, and NumPy says nothing.

    Parameters
    ----------
    missing : whether the estimator may be told which entries are missing. Entries below zero none takes.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except ValueError as error:
        said = str(error)
        for advice in (ALLOW,) if missing else (ALLOW, SAY_SO):
            said = said.replace(f", or, {advice}", "")
        if said == str(error):
            raise
        raise ValueError(said) from None
