"""Runs that are disturbed at random moments end with the answer of one that is not: see trial.py."""

import pytest
from disturbances import NotPossibleError
from rounds import NAMES, World

SEED = 0

# Two undisturbed runs, and up to six commands, on a machine that others use too.
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """X, and what is known of undisturbed runs of it."""
    return World(tmp_path_factory.mktemp("chaos"), SEED)


@pytest.mark.parametrize("kind", NAMES)
def test_a_disturbed_run_ends_with_the_undisturbed_answer(world, kind):
    """One trial of each kind; trial.py makes as many as one likes."""
    try:
        result = world.trial(kind, 0)
    except NotPossibleError as error:
        pytest.skip(str(error))
    assert (result.outcome, result.complaints) == ("right", []), result
