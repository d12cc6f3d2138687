"""MiniBatchNMF against scikit-learn's, against NMF, and batch by batch from a store."""

import inspect
import pickle
import re
from functools import partial

import dask.array as da
import numpy as np
import pytest
import sklearn.decomposition
import zarr
from estimator_data import PENALTIES, first_factors
from estimator_data import matrix as whole_matrix
from pairwise import few
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from dnmf import NMF, MiniBatchNMF

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

INITS = ["custom", None, "random", "nndsvd", "nndsvda", "nndsvdar"]
matrix = partial(whole_matrix, shape=(60, 13))


def both(X, *, init="custom", k=4, **parameters):
    """scikit-learn's and ours, fitted, each with its W."""
    models = [
        cls(k, init=init, random_state=3, **parameters) for cls in (sklearn.decomposition.MiniBatchNMF, MiniBatchNMF)
    ]
    given = init == "custom"
    return [(model, model.fit_transform(X, **(first_factors(X.shape, k) if given else {}))) for model in models]


def assert_same(theirs, ours, *, rtol=1e-9, W=True):
    (model, of_theirs), (own, of_ours) = theirs, ours
    np.testing.assert_allclose(own.components_, model.components_, rtol=rtol, atol=rtol)
    assert (own.n_steps_, own.n_iter_) == (model.n_steps_, model.n_iter_)
    if W:
        np.testing.assert_allclose(of_ours, of_theirs, rtol=rtol, atol=rtol)
        assert own.reconstruction_err_ == pytest.approx(model.reconstruction_err_, rel=1e-6)


def test_the_parameters_are_those_of_scikit_learn():
    theirs = inspect.signature(sklearn.decomposition.MiniBatchNMF).parameters.values()
    ours = inspect.signature(MiniBatchNMF).parameters.values()
    assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in theirs]


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("beta", few([2, 1, 0.5, 1.5, 3], 2))
@pytest.mark.parametrize("fresh", [False, True])
def test_iterates_are_those_of_scikit_learn(kind, beta, fresh):
    X = kind(matrix())
    for penalties in ({}, PENALTIES):
        assert_same(*both(X, beta_loss=beta, fresh_restarts=fresh, batch_size=25, max_iter=3, tol=0, **penalties))


@pytest.mark.parametrize("beta", [0, -1])
def test_iterates_are_those_of_scikit_learn_where_x_must_not_be_zero(beta):
    X = matrix(zeros=0) + 0.01
    assert_same(*both(X, beta_loss=beta, batch_size=25, max_iter=3, tol=0, **PENALTIES))


@pytest.mark.parametrize("init", INITS)
def test_iterates_from_every_start(init):
    for parameters in ({"beta_loss": 1}, {"fresh_restarts": True, "forget_factor": 1.0}, {"batch_size": 1024}):
        parameters = {"batch_size": 25, "max_iter": 3, "tol": 0, **parameters}
        assert_same(*both(matrix(), init=init, **parameters), W=init is not None)


@pytest.mark.parametrize("beta", [0.5, 1])
def test_what_becomes_tiny_becomes_zero_as_in_scikit_learn(beta):
    for max_iter in (40, 300):
        parameters = {"batch_size": 30, "max_iter": max_iter, "tol": 0, "max_no_improvement": None}
        (theirs, of_theirs), (ours, of_ours) = both(matrix(zeros=1), beta_loss=beta, **parameters)
        np.testing.assert_array_equal(ours.components_ == 0, theirs.components_ == 0)
        np.testing.assert_array_equal(of_ours == 0, of_theirs == 0)
    assert (ours.components_ == 0).any()
    assert (of_ours == 0).any()


@pytest.mark.parametrize("beta", [2, 1, 0.5])
def test_a_component_that_no_row_has_fades_as_in_scikit_learn(beta):
    fits, X = [], matrix()
    for cls in (sklearn.decomposition.MiniBatchNMF, MiniBatchNMF):
        given = first_factors(X.shape, 4)
        given["W"][:, 1] = 0
        fits.append(cls(init="custom", beta_loss=beta, batch_size=25, max_iter=2, tol=0).fit(X, **given).components_)
    np.testing.assert_allclose(fits[1], fits[0], rtol=1e-9)


@pytest.mark.parametrize(
    "stops",
    [{"tol": 0.02}, {"tol": 0, "max_no_improvement": 1}, {"tol": 0, "max_no_improvement": None, "max_iter": 7}],
    ids=str,
)
def test_it_stops_where_scikit_learn_does(stops):
    theirs, ours = both(matrix(), init="random", batch_size=25, **{"max_iter": 100, **stops})
    assert_same(theirs, ours)
    assert ours[0].n_iter_ == 7 if "max_iter" in stops else ours[0].n_iter_ < 100


def test_float32_stays_and_is_near_scikit_learn():
    X = matrix().astype("f4")
    theirs, ours = both(X, init="random", batch_size=25, max_iter=3, tol=0)
    assert_same(theirs, ours, rtol=1e-3)
    assert ours[0].components_.dtype == ours[1].dtype == ours[0].transform(X).dtype == np.float32


def test_csc_is_as_good_as_csr():
    """scikit-learn's own multiplicative updates mix up the entries of a CSC matrix where the loss is not Frobenius."""
    X = matrix()
    fits = [
        MiniBatchNMF(4, init="random", beta_loss=1, max_iter=3, random_state=0).fit(kind(X)).components_
        for kind in (sparse.csr_array, sparse.csc_array, np.asarray)
    ]
    np.testing.assert_allclose(fits[1], fits[0], rtol=1e-12)
    np.testing.assert_allclose(fits[2], fits[0], rtol=1e-9)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("beta", [2, 1, 0.5, 3])
@pytest.mark.parametrize("penalties", [{}, PENALTIES], ids=["free", "penalties"])
def test_one_batch_without_memory_is_nmf_by_multiplicative_updates(kind, beta, penalties):
    X, shared = kind(matrix()), {"init": "custom", "beta_loss": beta, "max_iter": 4, "tol": 0, **penalties}
    batches = MiniBatchNMF(4, batch_size=60, forget_factor=0.0, fresh_restarts=False, max_no_improvement=None, **shared)
    whole = NMF(4, solver="mu", inner_iter=1, **shared)
    W = batches.fit_transform(X, **first_factors(X.shape, 4))
    np.testing.assert_allclose(whole.fit_transform(X, **first_factors(X.shape, 4)), W, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(whole.components_, batches.components_, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("init", ["custom", None, "random"])
def test_partial_fit_is_that_of_scikit_learn(init):
    X, models = matrix(), [cls(4, init=init, random_state=3, beta_loss=1, batch_size=20, **PENALTIES)
                           for cls in (sklearn.decomposition.MiniBatchNMF, MiniBatchNMF)]  # fmt: skip
    for model in models:
        given = first_factors((20, 13), 4) if init == "custom" else {}
        model.partial_fit(X[:20], **given).partial_fit(X[20:30]).partial_fit(sparse.csr_array(X[30:]))
    assert models[0].n_steps_ == models[1].n_steps_ == 3
    np.testing.assert_allclose(models[1].components_, models[0].components_, rtol=1e-9)
    assert models[1].transform(X).shape == (60, 4)


def test_partial_fit_goes_on_after_a_fit():
    X, models = matrix(), [cls(4, random_state=3, batch_size=20, max_iter=2)
                           for cls in (sklearn.decomposition.MiniBatchNMF, MiniBatchNMF)]  # fmt: skip
    ours, theirs = (model.fit(X).partial_fit(X[:10]) for model in models)
    assert ours.n_steps_ == theirs.n_steps_ == 7
    np.testing.assert_allclose(ours.components_, theirs.components_, rtol=1e-9)


def test_fit_transform_is_transform_unless_the_start_is_named():
    X = matrix()
    for start, same in (({}, True), ({"init": "random"}, False)):
        model = MiniBatchNMF(3, batch_size=20, max_iter=5, random_state=0, **start)
        W = model.fit_transform(X)
        assert np.array_equal(W, model.transform(X)) == same
        assert model.reconstruction_err_ == pytest.approx(np.linalg.norm(X - W @ model.components_))


def test_a_row_of_transform_does_not_depend_on_the_others():
    X = matrix()
    model = MiniBatchNMF(3, batch_size=20, max_iter=5, random_state=0).fit(X)
    np.testing.assert_allclose(model.transform(X[7:9]), model.transform(X)[7:9], rtol=1e-12)


def test_factors_that_are_given_are_not_changed():
    X, given = matrix(), first_factors((60, 13), 4)
    before = {name: factor.copy() for name, factor in given.items()}
    for factor in (*given.values(), X):
        factor.flags.writeable = False
    MiniBatchNMF(init="custom", batch_size=20, max_iter=3).fit(X, **given)
    MiniBatchNMF(init="custom").partial_fit(X, **given)
    assert all(np.array_equal(given[name], before[name]) for name in given)


@pytest.fixture
def stored(tmp_path):
    """X in memory, and X's path: a Zarr array in chunks of 16 rows."""
    X = matrix(shape=(100, 13))
    zarr.create_array(tmp_path / "X.zarr", data=X, chunks=(16, 5))
    return X, tmp_path / "X.zarr"


@pytest.mark.parametrize("opened", [str, lambda path: zarr.open_array(path, mode="r"), lambda path: da.from_zarr(path)])
def test_stored_x_gives_what_x_in_memory_gives(stored, opened):
    X, path = stored
    parameters = {"batch_size": 32, "max_iter": 3, "tol": 0, "init": "custom", "beta_loss": 1}
    in_memory = MiniBatchNMF(4, **parameters).fit(X, **first_factors(X.shape, 4))
    model = MiniBatchNMF(4, **parameters)
    W = model.fit_transform(opened(path), **first_factors(X.shape, 4))
    np.testing.assert_allclose(model.components_, in_memory.components_, rtol=1e-12)
    assert model.n_features_in_ == 13
    assert isinstance(W, da.Array)
    W = W.compute()
    np.testing.assert_allclose(W, in_memory.transform(X), rtol=1e-5, atol=1e-7)
    error = MiniBatchNMF(4, **{**parameters, "init": None}).fit(X)  # of W = transform(X)
    assert model.reconstruction_err_ > 0
    assert error.reconstruction_err_ > 0


def test_stored_sparse_x_gives_what_x_in_memory_gives(stored, tmp_path):
    X, _ = stored
    parameters = {"batch_size": 32, "max_iter": 3, "tol": 0, "init": "custom", "beta_loss": 1}
    expected = MiniBatchNMF(4, **parameters).fit(sparse.csr_array(X), **first_factors(X.shape, 4))
    paths = [write_sparse(kind(X), tmp_path / f"{kind.__name__}.zarr") for kind in (sparse.csr_array, sparse.csc_array)]
    lazy = da.from_array(X, chunks=(30, 13)).map_blocks(sparse.csr_matrix)
    for x in (paths[0], zarr.open_group(paths[0], mode="r"), lazy):
        model = MiniBatchNMF(4, **parameters).fit(x, **first_factors(X.shape, 4))
        np.testing.assert_allclose(model.components_, expected.components_, rtol=1e-12)
    with pytest.raises(ValueError, match=r"csc_array.zarr is stored column by column \(CSC\)"):
        MiniBatchNMF(4).fit(paths[1])


def write_sparse(X, path):
    """A sparse matrix in a Zarr group, as AnnData lays it out."""
    attributes = {"encoding-type": f"{X.format}_matrix", "encoding-version": "0.1.0", "shape": list(X.shape)}
    group = zarr.create_group(path, attributes=attributes)
    for name in ("data", "indices", "indptr"):
        group.create_array(name, data=getattr(X, name))
    return str(path)


@pytest.mark.long
@pytest.mark.parametrize("fresh", [False, True])
def test_stored_x_starts_from_its_first_batch(stored, fresh):
    X, path = stored
    parameters = {"batch_size": 32, "tol": 0, "random_state": 0, "fresh_restarts": fresh, "forget_factor": 1.0}
    model = MiniBatchNMF(4, max_iter=1, **parameters).fit(path)
    batches = MiniBatchNMF(4, **parameters)
    for start in range(0, 100, 32):
        batches.partial_fit(X[start : start + 32])
    assert model.n_steps_ == batches.n_steps_ == 4
    np.testing.assert_allclose(model.components_, batches.components_, rtol=1e-12)
    error = np.linalg.norm(X - model.transform(X) @ model.components_)
    assert model.reconstruction_err_ == pytest.approx(error, rel=1e-6)
    assert MiniBatchNMF(4, max_iter=30, **parameters).fit(path).reconstruction_err_ < model.reconstruction_err_


def test_what_stored_x_may_not_be(stored):
    X, path = stored
    with pytest.raises(ValueError, match=r"n_components is 'auto', .* not in memory give a number"):
        MiniBatchNMF(batch_size=32).fit(path)
    with pytest.raises(ValueError, match="When beta_loss <= 0 and X contains zeros"):
        MiniBatchNMF(4, beta_loss=0, init="custom").fit(path, **first_factors(X.shape, 4))
    zarr.open_array(path)[70, 3] = -1
    with pytest.raises(ValueError, match=r"X\[70, 3\] is -1"):
        MiniBatchNMF(4, batch_size=32).fit(path)


def test_no_more_than_a_batch_of_stored_x_is_read_at_a_time(stored):
    X, _ = stored
    heights = []

    def reading(block):
        heights.append(len(block))
        return block

    lazy = da.from_array(X, chunks=(20, 13)).map_blocks(reading, dtype=X.dtype, meta=np.empty((0, 0)))
    model = MiniBatchNMF(3, batch_size=20, max_iter=2, tol=0, random_state=0)
    W = model.fit_transform(lazy)
    assert max(heights) == 20
    assert len(heights) == 1 + 2 * 5 + 5  # the start, two iterations, the error
    assert W.chunks[0] == lazy.chunks[0]
    np.testing.assert_allclose(W.compute(), model.transform(X), rtol=1e-12)


def test_errors_are_those_of_scikit_learn():
    X = matrix()
    negative, zeros = -X, {"beta_loss": "itakura-saito"}
    calls = [
        lambda home: home.MiniBatchNMF(2).fit(negative),
        lambda home: home.MiniBatchNMF(2).partial_fit(negative),
        lambda home: home.MiniBatchNMF(2, **zeros).fit(X),
        lambda home: home.MiniBatchNMF(14, init="nndsvd").fit(X),
        lambda home: home.MiniBatchNMF(2, init="custom").fit(X, **first_factors((60, 13), 3)),
        lambda home: home.MiniBatchNMF(2).fit(X).transform(X[:, :5]),
        lambda home: home.MiniBatchNMF(2).partial_fit(X).partial_fit(X[:, :5]),
        lambda home: home.MiniBatchNMF(2).fit(np.full((3, 3), np.nan)),
        lambda home: home.MiniBatchNMF(2).transform(X),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r".") as theirs:
            call(sklearn.decomposition)
        with pytest.raises(type(theirs.value)) as ours:
            call(__import__("dnmf"))
        assert str(ours.value) == str(theirs.value)


def test_it_warns_where_iterations_do_not_suffice():
    with pytest.warns(ConvergenceWarning, match=r"^Maximum number of iterations 1 reached\. Increase it to improve"):
        MiniBatchNMF(2, max_iter=1).fit(matrix())


@pytest.mark.parametrize("penalties", [{}, PENALTIES], ids=["free", "penalties"])
def test_it_says_what_scikit_learn_says(capsys, penalties):
    said, costs = [], []
    for cls in (sklearn.decomposition.MiniBatchNMF, MiniBatchNMF):
        cls(2, verbose=1, tol=0.05, batch_size=20, init="random", random_state=0, **penalties).fit(matrix())
        out = capsys.readouterr().out
        said.append([line.split(":")[0] for line in out.splitlines()])
        costs.append([float(number) for number in re.findall(r"cost: ([\d.]+)", out)])
    assert said[1] == said[0]
    assert any(line.startswith("Converged") for line in said[1])
    np.testing.assert_allclose(costs[1], costs[0], rtol=1e-9)


def test_it_is_pickled_and_cloned():
    X = matrix()
    model = MiniBatchNMF(3, batch_size=20, max_iter=3, random_state=0).fit(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    again.partial_fit(X[:5])
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "components_")


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1), (4, 4)])
def test_small_shapes_zeros_and_many_components(shape):
    X = matrix(shape=shape)
    X[0] = 0
    for x in (X, sparse.csr_array(X), np.zeros(shape)):
        model = MiniBatchNMF(3, max_iter=5, random_state=0).fit(x)
        assert np.isfinite(model.components_).all()
        assert np.isfinite(model.transform(x)).all()
        assert np.isfinite(model.reconstruction_err_)
