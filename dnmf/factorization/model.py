"""What `transform` may be given as a model: a run, its path, a fitted estimator, or V itself."""

from dataclasses import dataclass
from os import PathLike
from typing import Any, Self

import numpy as np
import zarr

from dnmf.matrix.foreign import columns_of, factor_of
from dnmf.matrix.labels import Names
from dnmf.matrix.matrix import Matrix
from dnmf.run.result import Factorization, open_run

# What a model may be, in words.
MODELS = "a Factorization, the path of a run, a fitted NMF, or V (k, n) is required"


@dataclass(frozen=True, slots=True)
class Model:
    """V (k, n), and the loss and the penalty on W that belong to it: as `beta_loss`, `alpha_W` and `l1_ratio` say.

    `signed` says whether entries of its X below zero were data; `columns` are the names of the columns of V, where it
    has any; `missing` and `alpha_scale` are those of the fit.
    """

    V: Any
    loss: float | str
    alpha: float
    l1_ratio: float
    signed: bool = False
    columns: Names | None = None
    missing: str | None = None
    alpha_scale: str = "all"

    @classmethod
    def of(cls, model: Any, *given: Any) -> Self:
        """What a caller gave; `given` are loss, alpha and l1_ratio where the model has none of its own.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no run at the path.
        TypeError
            If it is nothing that a model may be.
        """
        if isinstance(model, str | PathLike | zarr.Group):
            model = open_run(model if isinstance(model, zarr.Group) else str(model))
        if isinstance(model, Factorization):
            asked = model.about.parameters
            return cls(
                model.V, asked.beta_loss, asked.alpha_W, asked.l1_ratio, asked.signed, model.labels.columns,
                asked.missing, asked.alpha_scale,
            )  # fmt: skip
        if hasattr(model, "components_"):
            names = ("beta_loss", "alpha_W", "l1_ratio")
            loss, alpha, l1_ratio = (getattr(model, *each) for each in zip(names, given, strict=True))
            columns = getattr(model, "feature_names_in_", getattr(model, "_columns", None))
            missing = getattr(model, "missing", None)
            return cls(model.components_, loss, alpha, l1_ratio, columns=columns, missing=missing)
        if hasattr(model, "steps") and hasattr(model, "fit"):
            raise ValueError(
                f"the model is a {type(model).__name__}: give the step of it that is a fitted NMF, such as model[-1], "
                f"and X as the steps before leave it"
            )
        if hasattr(model, "get_params") and hasattr(model, "fit") and not isinstance(model, type):
            raise ValueError(f"the model, a {type(model).__name__}, is not fitted: fit it first; {MODELS}")
        try:
            V = np.asarray(factor_of("V", model))
        except TypeError:
            raise TypeError(f"the model is of type {type(model).__name__}: {MODELS}") from None
        loss, alpha, l1_ratio = given
        return cls(V, loss, alpha, l1_ratio, columns=columns_of(model))

    def for_columns_of(self, X: Matrix) -> Any:
        """V with its columns in the order of those of X, by their names.

        Raises
        ------
        ValueError
            If X has other columns.
        """
        places = X.labels.columns_in(self.columns)
        return self.V if places is None else np.asarray(self.V)[:, places]
