"""Runs that are disturbed at random moments end with the answer of one that is not: see trial.py."""

import pytest
from disturbances import NotPossibleError
from rounds import NAMES, World

SEED, EACH = 0, 10

# Two undisturbed runs, and up to six commands, on a machine that others use too.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """X, and what is known of undisturbed runs of it."""
    return World(tmp_path_factory.mktemp("chaos"), SEED)


def check(world, kind, number):
    try:
        result = world.trial(kind, number)
    except NotPossibleError as error:
        pytest.skip(str(error))
    assert (result.outcome, result.complaints) == ("right", []), result


@pytest.mark.parametrize("kind", NAMES)
def test_a_disturbed_run_ends_with_the_undisturbed_answer(world, kind):
    check(world, kind, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("number", range(1, EACH))
def test_many_disturbed_runs_end_with_the_undisturbed_answer(world, kind, number):
    check(world, kind, number)
