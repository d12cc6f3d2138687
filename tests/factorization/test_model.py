"""What `transform` takes as a model: a run by its path, fitted estimators, V; anything else is named."""

import numpy as np
import pandas as pd
import pytest
import sklearn.decomposition
import zarr
from sklearn.pipeline import make_pipeline

import dnmf


def data():
    rng = np.random.default_rng(0)
    return rng.random((30, 3)) @ rng.random((3, 12))


def test_a_run_is_a_model_by_its_path_and_as_its_group(tmp_path):
    result = dnmf.factorize(data(), 3, solver="mu", beta_loss=1.0, alpha_W=0.01, out=tmp_path / "run.zarr", max_iter=5)
    expected = dnmf.transform(data(), result)
    group = zarr.open_group(tmp_path / "run.zarr", mode="r")
    for model in (tmp_path / "run.zarr", str(tmp_path / "run.zarr"), group):
        np.testing.assert_array_equal(dnmf.transform(data(), model), expected)


@pytest.mark.parametrize("library", [dnmf, sklearn.decomposition])
def test_a_fitted_estimator_is_a_model_with_its_loss_and_penalty(library):
    asked = {"beta_loss": "kullback-leibler", "alpha_W": 0.01, "l1_ratio": 0.5}
    model = library.NMF(3, solver="mu", random_state=0, max_iter=400, tol=1e-3, init="random", **asked).fit(data())
    expected = dnmf.transform(data(), model.components_, **asked)
    np.testing.assert_array_equal(dnmf.transform(data(), model), expected)


def test_v_in_a_table_has_the_names_of_its_columns():
    X = pd.DataFrame(data(), columns=[f"g{i}" for i in range(12)])
    V = pd.DataFrame(np.random.default_rng(1).random((3, 12)), columns=X.columns)
    np.testing.assert_allclose(dnmf.transform(X.iloc[:, ::-1], V), dnmf.transform(X, V), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (dnmf.NMF(3), "the model, a NMF, is not fitted: fit it first; a Factorization, the path of a run"),
        (
            {"V": 1},
            "the model is of type dict: a Factorization, the path of a run, a fitted NMF, or V (k, n)",
        ),
        (
            make_pipeline(dnmf.NMF(3)),
            "the model is a Pipeline: give the step of it that is a fitted NMF, such as model[-1]",
        ),
        ((np.ones((2, 3)), np.ones((3, 4))), "the model is of type tuple: a Factorization"),
        (dnmf.NMF, "the model is of type type: a Factorization"),
        (None, "the model is of type NoneType: a Factorization"),
        ("nowhere.zarr", "there is no run at nowhere.zarr"),
    ],
)
def test_what_is_no_model_is_named(model, said):
    with pytest.raises((TypeError, ValueError, FileNotFoundError)) as refused:
        dnmf.transform(data(), model)
    assert str(refused.value).startswith(said)
