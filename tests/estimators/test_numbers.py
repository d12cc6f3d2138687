"""Layouts, units of X, one iteration at a time, and an output that is written more than once."""

from pathlib import Path

import numpy as np
import pytest
from estimator_data import first_factors, matrix
from numpy.testing import assert_allclose, assert_array_equal
from pairwise import few, in_turn
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import dnmf
from dnmf import NMF, MiniBatchNMF, non_negative_factorization

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = matrix()


@pytest.mark.parametrize("model", [NMF(3, random_state=0), NMF(3, init="random", random_state=0, tol=0, max_iter=50),
                                   MiniBatchNMF(3, random_state=0)])  # fmt: skip
@pytest.mark.parametrize(
    "makes",
    [
        pytest.param((np.ascontiguousarray, np.asfortranarray), marks=pytest.mark.long),
        (sparse.csr_array, sparse.csc_matrix),
    ],
)
def test_every_layout_has_one_answer(model, makes):
    for x in (X, X.T.copy()):
        one, other = clone(model), clone(model)
        assert_array_equal(one.fit_transform(makes[0](x)), other.fit_transform(makes[1](x)))
        assert_array_equal(one.components_, other.components_)


def test_factorize_has_one_answer_too():
    for makes in ((np.ascontiguousarray, np.asfortranarray), (sparse.csr_array, sparse.csc_matrix)):
        one, other = (dnmf.factorize(make(X), 3, seed=1) for make in makes)
        assert_array_equal(one.V, other.V)
        assert_array_equal(one.W, other.W)


@pytest.mark.parametrize(("solver", "beta"), [("cd", 2), ("mu", 2), ("mu", 1)])
def test_one_iteration_at_a_time_is_scikit_learns_and_gets_somewhere(solver, beta):
    asked = {"init": "custom", "solver": solver, "beta_loss": beta, "tol": 0}
    W, H = first_factors(X.shape, 4).values()
    all_at_once = non_negative_factorization(X, W, H, max_iter=5, inner_iter=1, **asked)
    for _ in range(5):
        W, H, n = non_negative_factorization(X, W, H, max_iter=1, **asked)
        assert n == 1
    assert_allclose(H, all_at_once[1], rtol=1e-7, atol=1e-9)
    assert_allclose(W, all_at_once[0], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "exponent"),
    few(
        in_turn(
            [NMF(3, random_state=0), NMF(3, init="nndsvda", random_state=0), MiniBatchNMF(3, random_state=0)] * 2,
            [-90, 80],
        ),
        3,
    ),
)
def test_x_times_a_constant_is_fitted_as_well_and_says_so(model, exponent):
    x = X.astype("f4")
    error, tiny = model.fit(x).reconstruction_err_, clone(model)
    W, H = tiny.fit_transform(np.ldexp(x, exponent)), tiny.components_
    true = np.linalg.norm(np.ldexp(W.astype("f8") @ H, -exponent) - x)
    assert_allclose(true, error, rtol=0.03)
    assert_allclose(tiny.reconstruction_err_ / 2.0**exponent, true, rtol=1e-4)
    new = np.ldexp(tiny.transform(np.ldexp(x, exponent)).astype("f8"), -exponent)
    assert_allclose(np.linalg.norm(new @ H - x), error, rtol=0.03)


def test_batches_of_any_unit_come_one_by_one():
    plain, tiny = MiniBatchNMF(3, random_state=0), MiniBatchNMF(3, random_state=0)
    for rows in (slice(0, 20), slice(20, 40)):
        plain.partial_fit(np.ldexp(X[rows], -60))
        tiny.partial_fit(np.ldexp(X[rows], -700))
    assert_array_equal(plain.components_, tiny.components_)


@pytest.mark.long
def test_a_model_with_an_output_is_fitted_again_and_so_is_its_clone(tmp_path: Path):
    model = NMF(3, random_state=0, out=tmp_path / "run")
    model.fit(X).fit(X[:30])
    assert dnmf.open_run(tmp_path / "run").record["x"]["shape"] == [30, 17]
    clone(model).set_params(n_components=2).fit(X)
    search = GridSearchCV(model, {"n_components": [2, 4]}, cv=2, scoring=lambda fitted, X: -fitted.reconstruction_err_)
    search.fit(X)
    assert dnmf.open_run(tmp_path / "run").record["x"]["shape"] == [40, 17]


def test_it_replaces_nothing_else(tmp_path: Path):
    model = NMF(3, random_state=0, out=tmp_path / "run")
    model.fit(X)
    dnmf.factorize(X, 2, out=tmp_path / "run", overwrite=True)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    for out in ("run", "folder"):
        with pytest.raises(FileExistsError, match="no estimator of this process wrote it, so it is not replaced"):
            NMF(3, out=tmp_path / out).fit(X)
    assert dnmf.open_run(tmp_path / "run").V.shape == (2, 17)


def test_a_fit_that_fails_does_not_stand_in_the_way_of_the_next(tmp_path: Path):
    model = NMF(3, random_state=0, out=tmp_path / "run", max_iter=3)
    model.fit(X)
    with pytest.raises(ValueError, match="Negative values"):
        model.fit(-X)
    model.fit(X)
