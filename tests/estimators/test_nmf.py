"""NMF and non_negative_factorization against scikit-learn's, and on every kind of X."""

import inspect
import pickle
import re
import subprocess
import sys
import warnings

import anndata
import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import sklearn.decomposition
import zarr
from estimator_data import PENALTIES, first_factors, matrix
from pairwise import few, in_turn, pairs
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

import dnmf
from dnmf import NMF, MiniBatchNMF, non_negative_factorization

INITS = ["custom", "random", "nndsvd", "nndsvda", "nndsvdar"]
KINDS = [np.asarray, sparse.csr_array, sparse.csc_matrix]
SHAPES = [(40, 17), (17, 40)]

unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


X = matrix()
GIVEN = first_factors(X.shape, 4)


def expected_failures(estimator):
    """Rows that are repeated draw other random starts, and after 200 iterations these still tell."""
    names = ("dense", "sparse") if isinstance(estimator, NMF) else ()
    return {f"check_sample_weight_equivalence_on_{name}_data": "other random starts" for name in names}


@pytest.mark.long
@unconverged
@parametrize_with_checks([NMF(), MiniBatchNMF()], expected_failed_checks=expected_failures)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", ["NMF", "non_negative_factorization"])
def test_the_parameters_are_those_of_scikit_learn_and_ours_come_last(name):
    theirs = list(inspect.signature(getattr(sklearn.decomposition, name)).parameters.values())
    ours = list(inspect.signature(getattr(dnmf, name)).parameters.values())
    as_tuples = [[(p.name, p.kind, p.default) for p in parameters] for parameters in (ours, theirs)]
    assert as_tuples[0][: len(theirs)] == as_tuples[1]
    assert [(p.name, p.default) for p in ours[len(theirs) :]] == [
        (n, None) for n in ("inner_iter", "out", "memory_limit", "missing")
    ]


def assert_same_iterates(X, *, init, k=4, rtol=1e-7, **parameters):
    given = first_factors(X.shape, k, X.dtype) if init == "custom" else {}
    theirs = sklearn.decomposition.NMF(k, init=init, random_state=3, tol=0, **parameters)
    ours = NMF(k, init=init, random_state=3, tol=0, inner_iter=1, **parameters)
    oracle = sparse.csr_array(X) if sparse.issparse(X) else X  # theirs mixes up a CSC matrix
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The multiplicative update")
        W = theirs.fit_transform(oracle, **{name: factor.copy() for name, factor in given.items()})
        np.testing.assert_allclose(ours.fit_transform(X, **given), W, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(ours.components_, theirs.components_, rtol=rtol, atol=rtol)
    assert ours.reconstruction_err_ == pytest.approx(theirs.reconstruction_err_, rel=1e-6)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.n_components_ == theirs.n_components_


@pytest.mark.parametrize(("init", "shape", "solver"), pairs(INITS, SHAPES, ["cd", "mu"]))
def test_iterates_from_every_start_are_those_of_scikit_learn(init, shape, solver):
    for passes in (1, 5):
        assert_same_iterates(matrix(shape=shape), init=init, solver=solver, max_iter=passes)


@pytest.mark.parametrize("init", ["nndsvd", "nndsvda", "nndsvdar"])
def test_singular_vectors_become_the_first_factors_of_scikit_learn(init):
    for seed in range(4):
        assert_same_iterates(matrix(seed, (12, 30)), init=init, k=9, max_iter=1)
    blocks = np.kron(np.diag([1.0, 2.0]), matrix(shape=(20, 8), zeros=0))  # singular vectors are all but 0 in places
    assert_same_iterates(blocks, init=init, solver="mu", max_iter=1)


@pytest.mark.parametrize(
    ("penalties", "kind", "shape", "solver"),
    pairs([{}, PENALTIES, {"alpha_W": 0.02, "l1_ratio": 1.0}], KINDS, SHAPES, ["cd", "mu"]),
)
def test_iterates_with_penalties_are_those_of_scikit_learn(penalties, kind, shape, solver):
    assert_same_iterates(kind(matrix(shape=shape)), init="random", solver=solver, max_iter=4, **penalties)


@pytest.mark.parametrize(
    ("beta", "kind", "shape", "penalties"), pairs(["kullback-leibler", 0.5, 1.5, 3.0], KINDS, SHAPES, [{}, PENALTIES])
)
def test_iterates_of_other_losses_are_those_of_scikit_learn(beta, kind, shape, penalties):
    assert_same_iterates(
        kind(matrix(shape=shape)), init="nndsvda", solver="mu", beta_loss=beta, max_iter=4, **penalties
    )


@pytest.mark.parametrize("beta", ["itakura-saito", -1.0])
def test_iterates_are_those_of_scikit_learn_where_x_must_not_be_zero(beta):
    assert_same_iterates(matrix(zeros=0) + 0.01, init="random", solver="mu", beta_loss=beta, max_iter=4)


def test_a_random_state_is_left_as_scikit_learn_leaves_it():
    states = [np.random.RandomState(5) for _ in range(2)]
    for cls, state, ours in ((sklearn.decomposition.NMF, states[0], {}), (NMF, states[1], {"inner_iter": 1})):
        cls(3, init="nndsvdar", random_state=state, max_iter=2, tol=0, **ours).fit(matrix())
    assert states[0].random_sample() == states[1].random_sample()


STARTS = [
    *((np.asarray, start) for start in ({}, {"init": "nndsvda"}, {"inner_iter": 1})),
    *((k, {}) for k in KINDS[1:]),
]


@pytest.mark.parametrize(
    ("start", "loss"), few(in_turn([*STARTS, *STARTS], [{}, {"solver": "mu", "beta_loss": 1}, PENALTIES]), 4), ids=str
)
def test_fit_transform_is_transform_exactly(start, loss):
    kind, start = start
    x = kind(X)
    model = NMF(4, random_state=0, **start, **loss)
    W = model.fit_transform(x)
    np.testing.assert_array_equal(W, model.transform(x))
    if kind is np.asarray:
        np.testing.assert_array_equal(W, NMF(4, random_state=0, **start, **loss).fit(x).transform(x))
    error = oracle_error(X, W, model.components_, loss.get("beta_loss", 2))
    assert model.reconstruction_err_ == pytest.approx(error, rel=1e-9)


def oracle_error(X, W, H, beta):
    M = W @ H
    if beta == 2:
        return np.linalg.norm(X - M)
    log = np.log(np.divide(X, M, out=np.ones_like(X), where=X > 0))
    return np.sqrt(2 * (X * log - X + M).sum())


@pytest.mark.parametrize("loss", [{}, {"solver": "mu", "beta_loss": 1}], ids=["frobenius", "kl"])
def test_the_default_ends_where_scikit_learn_ends_or_lower(loss):
    for seed in range(3):
        X = matrix(seed, zeros=0.1)
        ours = NMF(4, random_state=seed, **loss).fit(X).reconstruction_err_
        theirs = sklearn.decomposition.NMF(4, random_state=seed, max_iter=1000, **loss).fit(X).reconstruction_err_
        assert ours < 1.01 * theirs


def test_a_row_of_transform_does_not_depend_on_the_others():
    X, new = matrix(), matrix(5)
    model = NMF(4, random_state=0).fit(X)
    np.testing.assert_allclose(model.transform(new[3:5]), model.transform(new)[3:5], rtol=1e-12)
    theirs = sklearn.decomposition.NMF(4, tol=1e-10, max_iter=5000, random_state=0).fit(X)
    theirs.components_ = model.components_
    np.testing.assert_allclose(model.transform(new), theirs.transform(new), rtol=1e-2, atol=1e-3)


def test_few_passes_do_not_cut_short_what_transform_does():
    X = matrix()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        W = NMF(4, max_iter=1, init="random", random_state=0).fit_transform(X)
        model = NMF(4, max_iter=1, init="random", random_state=0).fit(X)
        model.set_params(max_iter=200)
    np.testing.assert_array_equal(model.transform(X), W)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", ["NMF", "MiniBatchNMF"])
def test_parameters_that_scikit_learn_refuses_are_refused_in_its_words(cls):
    refused = 0
    for name in getattr(sklearn.decomposition, cls)().get_params():
        for value in ("bad", -1, 2.5, None, [1], np.nan, 0, True):
            parameters = {"max_iter": 2, "n_components": 2, name: value}
            said = [refusal(getattr(home, cls)(**parameters)) for home in (sklearn.decomposition, dnmf)]
            assert said[1] == said[0], (name, value)
            refused += bool(said[0])
    assert refused > 60


def refusal(model):
    """The words that refuse a parameter, in order of the alphabet: names in braces are a set; none if it is taken."""
    try:
        model.fit(X)
    except ValueError as error:
        return sorted(re.findall(r"[\w.'-]+", str(error))) if "parameter" in str(error) else ["for another reason"]
    return []


def test_parameters_of_ours_are_checked():
    for name, value in (("inner_iter", 0), ("out", 3), ("memory_limit", -1)):
        with pytest.raises(ValueError, match=f"The '{name}' parameter of NMF must be .* or None. Got {value} instead."):
            NMF(2, **{name: value}).fit(matrix())


MISTAKES = {
    "negative": lambda home: home.NMF(2).fit(-X),
    "negative in transform": lambda home: home.NMF(2).fit(X).transform(-X),
    "zeros and β ≤ 0": lambda home: home.NMF(2, solver="mu", beta_loss=0).fit(X),
    "zeros and β ≤ 0 in transform": lambda home: home.NMF(2, solver="mu", beta_loss=-1).fit(X + 1).transform(X),
    "cd and KL": lambda home: home.NMF(2, beta_loss="kullback-leibler").fit(X),
    "too many for nndsvd": lambda home: home.NMF(18, init="nndsvd").fit(X),
    "rows of W": lambda home: home.NMF(4, init="custom").fit(X, W=GIVEN["W"][1:], H=GIVEN["H"]),
    "columns of H": lambda home: home.NMF(4, init="custom").fit(X, W=GIVEN["W"], H=GIVEN["H"][:, 1:]),
    "components": lambda home: home.NMF(3, init="custom").fit(X, **GIVEN),
    "zeros in H": lambda home: home.NMF(4, init="custom").fit(X, W=GIVEN["W"], H=0 * GIVEN["H"]),
    "negative W": lambda home: home.NMF(4, init="custom").fit(X, W=-GIVEN["W"], H=GIVEN["H"]),
    "dtypes": lambda home: home.NMF(4, init="custom").fit(X.astype("f4"), **GIVEN),
    "fewer features": lambda home: home.NMF(2).fit(X).transform(X[:, 1:]),
    "NaN": lambda home: home.NMF(2).fit(np.where(X > 0, X, np.nan)),
    "infinite": lambda home: home.NMF(2).fit(np.where(X > 0, X, np.inf)),
    "not fitted": lambda home: home.NMF(2).transform(X),
    "not fitted, back": lambda home: home.NMF(2).inverse_transform(X),
    "one axis": lambda home: home.NMF(2).fit(X[0]),
    "no rows": lambda home: home.NMF(2).fit(X[:0]),
    "complex": lambda home: home.NMF(2).fit(X * 1j),
    "H": lambda home: home.non_negative_factorization(X, H=GIVEN["H"], n_components=3, update_H=False),
    "H of another dtype": lambda home: home.non_negative_factorization(X, H=GIVEN["H"].astype("f4"), update_H=False),
    "negative in the function": lambda home: home.non_negative_factorization(-X),
    "no rows in the function": lambda home: home.non_negative_factorization(X[:0]),
}


@pytest.mark.parametrize("call", MISTAKES.values(), ids=MISTAKES)
@unconverged
def test_mistakes_are_answered_in_scikit_learns_words(call):
    with pytest.raises((ValueError, TypeError)) as theirs:
        call(sklearn.decomposition)
    with pytest.raises(type(theirs.value)) as ours:
        call(dnmf)
    assert str(ours.value) == str(theirs.value)


WARNED = {
    "out of iterations": lambda home: home.NMF(4, max_iter=1, init="random", random_state=0).fit(X),
    "mu and zeros": lambda home: home.NMF(2, solver="mu", init="nndsvd", tol=0, max_iter=2).fit(X),
    "ignored": lambda home: home.NMF(2, init="random", tol=0, max_iter=2).fit(X, **GIVEN),
    "ignored W": lambda home: home.non_negative_factorization(X, **GIVEN, update_H=False),
}


@pytest.mark.parametrize("call", WARNED.values(), ids=WARNED)
def test_warnings_are_those_of_scikit_learn(call):
    said = []
    for home in (sklearn.decomposition, dnmf):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call(home)
        said.append([(warning.category, str(warning.message)) for warning in caught])
    assert said[1] == said[0]
    assert len(said[1]) == 1


def test_nothing_is_warned_of_where_it_converged(recwarn):
    for most in (200, 1):
        assert NMF(4, max_iter=most, random_state=0).fit(X).n_iter_ == 1
    NMF(4, random_state=0, init="random", solver="mu").fit(X)
    assert not recwarn.list


def test_factors_that_are_given_are_not_changed():
    given = first_factors(X.shape, 4)
    before = {name: factor.copy() for name, factor in given.items()}
    for solver in ("cd", "mu"):
        for parameters in ({}, {"inner_iter": 1, "tol": 0, "max_iter": 3}):
            NMF(init="custom", solver=solver, **parameters).fit_transform(X, **given)
    non_negative_factorization(X, H=given["H"], update_H=False)
    assert all(np.array_equal(given[name], before[name]) for name in given)


def test_the_number_of_components_comes_from_custom_factors():
    assert NMF(init="custom").fit(X, **GIVEN).n_components_ == 4
    small = matrix(shape=(9, 5))
    assert NMF().fit(small).n_components_ == NMF(None).fit(small).n_components_ == 5
    with pytest.raises(ValueError, match=r"no array for NMF \(input W\): pass one"):
        NMF(init="custom").fit(X, H=GIVEN["H"])


def test_non_negative_factorization_is_nmf():
    W, H, n_iter = non_negative_factorization(X, n_components=4, random_state=0)
    model = NMF(4, random_state=0)
    np.testing.assert_array_equal(W, model.fit_transform(X))
    np.testing.assert_array_equal(H, model.components_)
    assert n_iter == model.n_iter_


@pytest.mark.parametrize(
    "loss", few([{}, PENALTIES, {"solver": "mu", "beta_loss": 1}], 2), ids=["frobenius", "penalties", "kl"]
)
def test_with_a_fixed_h_w_is_that_of_scikit_learn(loss):
    H, exact = GIVEN["H"], {"update_H": False, "tol": 1e-9, "max_iter": 20000, **loss}
    W, same, n_iter = non_negative_factorization(X, H=H, **exact)
    theirs, *_ = sklearn.decomposition.non_negative_factorization(X, H=H.copy(), **{**exact, "tol": 1e-14})
    np.testing.assert_array_equal(same, H)
    assert n_iter == 1
    np.testing.assert_allclose(W @ H, theirs @ H, rtol=1e-3, atol=1e-4)
    stored, _, _ = non_negative_factorization(da.from_array(X, chunks=(13, 17)), H=H, **exact)
    np.testing.assert_allclose(stored.compute(), W, rtol=1e-9, atol=1e-12)


DTYPES = ["f4", "i4", "?", ">f8", ">f4", "f2"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    x = (matrix() * 3).astype(dtype)
    model = NMF(3, random_state=0)
    W = model.fit_transform(x)
    kept = np.float32 if dtype == "f4" else np.float64
    assert W.dtype == model.components_.dtype == kept
    same = NMF(3, random_state=0).fit_transform(x.astype(kept))
    np.testing.assert_allclose(W, same, rtol=1e-5)


@pytest.mark.parametrize(
    "laid_out", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x.tolist()]
)
def test_any_layout_gives_the_same(laid_out):
    np.testing.assert_allclose(
        NMF(3, random_state=0).fit_transform(laid_out(X)), NMF(3, random_state=0).fit_transform(X), rtol=1e-9
    )


@pytest.mark.parametrize("loss", few([{}, {"solver": "mu", "beta_loss": 1}], 1), ids=["frobenius", "kl"])
def test_sparse_gives_what_dense_gives(loss):
    raw = sparse.csr_array(X.shape)
    raw.data, raw.indices, raw.indptr = _unsummed(X)
    explicit = sparse.csr_array(X)
    explicit.data[:20] = 0
    for dense, sparse_ones in (
        (X, (sparse.csr_array(X), sparse.coo_matrix(X), raw)),
        (explicit.toarray(), (explicit,)),
    ):
        expected = NMF(3, random_state=0, **loss)
        W = expected.fit_transform(dense)
        for x in sparse_ones:
            model = NMF(3, random_state=0, **loss)
            np.testing.assert_allclose(model.fit_transform(x), W, rtol=1e-5, atol=1e-7)
            assert model.reconstruction_err_ == pytest.approx(expected.reconstruction_err_, rel=1e-9)
        # Columns of CSC are strips: another way to the same optimum, with components in another order.
        by_columns = NMF(3, random_state=0, **loss).fit(sparse.csc_array(dense))
        assert by_columns.reconstruction_err_ == pytest.approx(expected.reconstruction_err_, rel=1e-3)
    assert raw.nnz == 2 * X.size


def _unsummed(x):
    """CSR parts with every entry twice, halved, and columns in descending order."""
    m, n = x.shape
    columns = np.tile(np.repeat(np.arange(n)[::-1], 2), m)
    return np.repeat(x[:, ::-1].ravel(), 2) / 2, columns, np.arange(m + 1) * 2 * n


@pytest.mark.parametrize(
    ("shape", "loss"),
    few(
        in_turn(
            [(1, 5), (5, 1), (1, 1), (3, 8), (1, 1), (3, 8)],
            [{}, {"solver": "mu", "beta_loss": 1}, {"solver": "mu", "beta_loss": 0.5}],
        ),
        3,
    ),
    ids=str,
)
@unconverged
def test_small_shapes_zeros_and_many_components(shape, loss):
    x = matrix(shape=shape)
    x[0], x[:, 0] = 0, 0
    for one, k in ((x, 1), (x, 5), (sparse.csr_array(x), 5), (np.zeros(shape), 2)):
        model = NMF(k, random_state=0, **loss)
        W = model.fit_transform(one)
        assert W.shape == (shape[0], k)
        assert np.isfinite(W).all()
        assert np.isfinite(model.components_).all()
        assert (W >= 0).all()
        assert np.isfinite(model.reconstruction_err_)


def test_names_of_features():
    frame = pd.DataFrame(X, columns=[f"gene{j}" for j in range(17)])
    model = NMF(3, random_state=0).set_output(transform="pandas")
    W = model.fit_transform(frame)
    assert list(model.feature_names_in_) == list(frame.columns)
    assert list(W.columns) == list(model.get_feature_names_out()) == ["nmf0", "nmf1", "nmf2"]
    pd.testing.assert_frame_equal(W, model.transform(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(frame[frame.columns[::-1]])


def test_the_error_of_float32_is_exact():
    rng = np.random.default_rng(0)
    x = (rng.random((50, 3)) @ rng.random((3, 20)) + 1e-5 * rng.random((50, 20))).astype("f4")
    model = NMF(3, tol=1e-6, random_state=0)
    W = model.fit_transform(x).astype("f8")
    error = np.linalg.norm(x - W @ model.components_.astype("f8"))
    assert error < 1e-3 * np.linalg.norm(x)
    assert model.reconstruction_err_ == pytest.approx(error, rel=1e-7)


@pytest.mark.parametrize("model", [NMF(), MiniBatchNMF()])
def test_tags(model):
    tags = get_tags(model)
    assert (tags.input_tags.positive_only, tags.input_tags.sparse) == (True, True)
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]


def test_inverse_transform():
    model = NMF(3, random_state=0)
    W = model.fit_transform(X)
    back = model.inverse_transform(W)
    assert np.linalg.norm(X - back) == pytest.approx(model.reconstruction_err_)
    np.testing.assert_allclose(model.inverse_transform(sparse.csr_array(W)), back)
    np.testing.assert_allclose(model.inverse_transform(da.from_array(W, chunks=(7, 3))).compute(), back)


def test_it_is_pickled_and_cloned_and_holds_plain_values():
    model = NMF(3, random_state=0).fit(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(X), model.transform(X))
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "components_")
    for name, value in vars(model).items():
        assert isinstance(value, np.ndarray | np.generic | int | float | str | None), name


def test_a_search_over_a_pipeline():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    parts = rng.random((2, 12)) ** 3
    x = parts[labels] * rng.random((60, 1)) + 0.01 * rng.random((60, 12))
    pipeline = make_pipeline(NMF(random_state=0), LogisticRegression(C=100))
    search = GridSearchCV(pipeline, {"nmf__n_components": [1, 2]}, cv=3).fit(x, labels)
    assert search.best_params_ == {"nmf__n_components": 2}
    assert search.score(x, labels) > 0.9


def test_verbose_prints_a_line_per_pass(capsys):
    model = NMF(3, verbose=1, random_state=0, solver="mu", init="random").fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert (
        len([line for line in lines if re.match(r"Epoch \d+ reached after [\d.]+ seconds, error: [\d.]+$", line)])
        >= model.n_iter_
    )
    assert lines[-1].startswith("Stopped: ")
    NMF(3, random_state=0).fit(X)
    assert capsys.readouterr().out == ""


@pytest.fixture
def path(tmp_path):
    zarr.create_array(tmp_path / "X.zarr", data=X, chunks=(8, 17))
    return str(tmp_path / "X.zarr")


@pytest.mark.parametrize(
    "opened", few([str, lambda path: zarr.open_array(path, mode="r"), lambda path: da.from_zarr(path)], 1)
)
def test_stored_x(path, opened, tmp_path):
    x = opened(path)
    for parameters in ({}, {"init": "nndsvda", "solver": "mu"}, {"out": str(tmp_path / "run.zarr")}):
        model = NMF(4, random_state=0, **parameters)
        W = model.fit_transform(x)
        assert isinstance(W, da.Array)
        assert W.shape == (40, 4)
        assert model.n_features_in_ == 17
        if hasattr(x, "chunks") and isinstance(x, da.Array):
            assert W.chunks[0] == x.chunks[0]
        W = W.compute()
        assert np.linalg.norm(X - W @ model.components_) == pytest.approx(model.reconstruction_err_, rel=1e-3)
        again = model.transform(x)
        assert isinstance(again, da.Array)
        np.testing.assert_allclose(again.compute(), model.transform(X), rtol=1e-5, atol=1e-7)
    assert dnmf.open_run(tmp_path / "run.zarr").V.shape == (4, 17)
    np.testing.assert_array_equal(dnmf.open_run(tmp_path / "run.zarr").V, model.components_)


@pytest.fixture(params=["csr", "csc"])
def cells(request, tmp_path):
    """AnnData with sparse X, in memory, and the path where it is written."""
    adata = anndata.AnnData(sparse.csr_matrix(X) if request.param == "csr" else sparse.csc_matrix(X))
    with anndata.settings.override(zarr_write_format=3, auto_shard_zarr_v3=False):
        adata.write_zarr(tmp_path / "cells.zarr")
    return adata, tmp_path / "cells.zarr"


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_anndata_and_sparse_x_in_stores_and_dask_arrays(cells):
    adata, path = cells
    in_memory = NMF(4, random_state=0)
    W = in_memory.fit_transform(adata)
    np.testing.assert_array_equal(W, NMF(4, random_state=0).fit_transform(adata.X))
    assert isinstance(W, np.ndarray)
    named = {"init": "nndsvda", "inner_iter": 1, "tol": 0, "max_iter": 2, "random_state": 0}
    np.testing.assert_array_equal(NMF(4, **named).fit_transform(adata), NMF(4, **named).fit_transform(adata.X))
    rows = da.from_array(X, chunks=(10, 17)).map_blocks(sparse.csr_matrix)
    for x in (str(path), path / "X", zarr.open_group(path / "X", mode="r"), rows):
        model = NMF(4, random_state=0)
        W = model.fit_transform(x)
        assert isinstance(W, da.Array)
        np.testing.assert_allclose(W.compute(), model.transform(X), rtol=1e-5, atol=1e-7)
        assert model.reconstruction_err_ == pytest.approx(in_memory.reconstruction_err_, rel=1e-3)


def test_stored_x_and_custom_factors(path):
    lazy = da.from_zarr(path)
    expected = NMF(init="custom", inner_iter=1, tol=0, max_iter=3).fit(X, **GIVEN)
    for x in (path, lazy):
        for W in (GIVEN["W"], da.from_array(GIVEN["W"], chunks=(8, 4))):
            model = NMF(init="custom", inner_iter=1, tol=0, max_iter=3).fit(x, W=W, H=GIVEN["H"])
            np.testing.assert_allclose(model.components_, expected.components_, rtol=1e-9)
    for name in ("auto", None):
        with pytest.raises(ValueError, match=f"n_components is {name!r}, .* not in memory give a number"):
            NMF(name).fit(path)
    with pytest.raises(ValueError, match="X has 17 features, but NMF is expecting 16 features as input"):
        NMF(2).fit(X[:, 1:]).transform(path)


def test_dask_x_is_never_in_memory_at_once():
    lengths = []

    def reading(block):
        lengths.append(len(block))
        return block

    x = da.from_array(matrix(shape=(400, 17)), chunks=(10, 17))
    lazy = x.map_blocks(reading, dtype=x.dtype, meta=np.empty((0, 0)))
    W = NMF(3, random_state=0).fit_transform(lazy)
    assert W.chunks == ((10,) * 40, (3,))
    assert lengths
    lengths.clear()
    with dask.config.set(scheduler="synchronous"):
        W[:10].compute()
    assert lengths == [10]


@pytest.mark.long
def test_on_a_cluster(client, path, tmp_path):
    expected = NMF(3, random_state=0).fit(X)
    model = NMF(3, random_state=0)
    W = model.fit_transform(path)
    assert isinstance(W, da.Array)
    np.testing.assert_allclose(W.compute(), expected.transform(X), rtol=0.05, atol=5e-3)
    assert model.reconstruction_err_ == pytest.approx(expected.reconstruction_err_, rel=1e-3)
    kept = NMF(3, random_state=0, out=str(tmp_path / "run.zarr")).fit_transform(path)
    np.testing.assert_allclose(kept.compute(), W.compute(), rtol=0.05, atol=5e-3)
    # X in memory is computed with in this process.
    np.testing.assert_array_equal(NMF(3, random_state=0).fit_transform(X), expected.transform(X))
    assert model.__dict__.keys() == expected.__dict__.keys()


@pytest.mark.process
def test_without_scikit_learn_a_sentence_says_how_to_get_it():
    code = """
import sys
sys.modules["sklearn"] = None  # Python's way to say that there is none
import dnmf
for use in ("dnmf.NMF", "dnmf.MiniBatchNMF", "from dnmf.estimators.nmf import non_negative_factorization"):
    try:
        exec(use)
    except ImportError as error:
        print(error)
dnmf.factorize
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert (
        done.stdout.splitlines()
        == ['dnmf\'s estimators need scikit-learn, which is missing: pip install "dnmf[sklearn]"'] * 3
    )


def test_a_subclass_may_have_parameters_of_its_own():
    class Named(NMF):
        def __init__(self, n_components=2, *, title="none"):
            super().__init__(n_components)
            self.title = title

    assert isinstance(Named(), BaseEstimator)
    assert Named(title="a").fit(X).n_components_ == 2
