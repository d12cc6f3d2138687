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


# Every kind once: those that a command outlives disturb one command, those that end it one command each.
TRIALS = ("worker+pause+temporary", "driver+group+interrupt+terminate", "scheduler", "disk", "relay")


@pytest.fixture(scope="module")
def tried():
    """Kinds of this module's trials, and where runs stood when they were disturbed."""
    return [], []


@pytest.mark.parametrize("kinds", TRIALS)
def test_a_disturbed_run_ends_with_the_undisturbed_answer(world, tried, kinds):
    """One trial of each; trial.py makes as many as one likes."""
    try:
        result = world.trial(kinds, 0)
    except NotPossibleError as error:
        pytest.skip(str(error))
    assert (result.outcome, result.complaints) == ("right", []), result
    tried[0].extend(kinds.split("+"))
    tried[1].extend(result.phases)


def test_every_kind_is_tried():
    assert {kind for kinds in TRIALS for kind in kinds.split("+")} == set(NAMES)


def test_most_kinds_disturb_passes(tried):
    """Else there would be little to go on with."""
    kinds, phases = tried
    if not kinds:
        pytest.skip("no trial was made")
    assert 2 * phases.count("passes") > len(kinds), phases
