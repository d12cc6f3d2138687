"""What the errors speak for, and what is said of it."""

import numpy as np
import pytest

from dnmf.rank_selection.choice import compare, sentence

RANKS = (2, 3, 4, 5, 6)
SURE = {rank: np.full(rank, 0.97) for rank in RANKS}


def errors(means, noise=0.0, rows=400):
    """Errors of rows that differ much from one another, and little from rank to rank."""
    rng = np.random.default_rng(0)
    base = rng.gamma(1.0, size=rows)
    return np.array([base + mean + noise * centred(rng.standard_normal(rows)) for mean in means])


def centred(numbers):
    return numbers - numbers.mean()


def test_the_smallest_rank_within_one_standard_error_of_pairs_is_picked():
    sharp = compare(RANKS, errors([0.5, 0.2, 0.0, 0.001, 0.1]), 400.0)
    assert (sharp.least, sharp.pick, sharp.falls_to_the_end) == (4, 4, False)
    # Where a difference is below the noise of pairs, the smaller one is as good; rows' own spread has no part in it.
    level = compare(RANKS, errors([0.5, 0.2, 0.0005, 0.0, 0.1], noise=0.1), 400.0)
    assert (level.pick, level.standard_error[1] < 0.01) == (4, True)


def test_shares_are_of_what_there_is_to_predict():
    found = compare((1, 2), np.array([[1.0, 3.0], [1.0, 1.0]]), 8.0)
    np.testing.assert_allclose(found.held_out, [0.5, 0.25])
    np.testing.assert_allclose(found.standard_error, [np.sqrt(2) * np.std([0, 2], ddof=1) / 8, 0])


def test_errors_that_are_as_good_as_none_do_not_decide():
    """Of X that is factorized exactly, rounding would."""
    found = compare((3, 4, 5), errors([0.1, 1e-9, 0.0]) - errors([0, 0, 0]), 400.0)
    assert found.pick == 4


@pytest.mark.parametrize(
    ("means", "agreement", "rows", "said"),
    [
        (
            [0.5, 0.2, 0.0, 0.1, 0.2],
            SURE,
            500,
            "Held-out error is least at 4; at 4 every component is found by both halves (worst 0.97). No pick "
            "is proof.",
        ),
        (
            [0.5, 0.4, 0.3, 0.2, 0.0],
            SURE,
            500,
            "Held-out error still falls at 6, the largest rank of all: no minimum lies in the range, ask for more; at "
            "6 every component is found by both halves (worst 0.97). No pick is proof.",
        ),
        (
            [0.0, 0.1, 0.2, 0.3, 0.4],
            SURE,
            500,
            "Held-out error is least at 2; smaller ranks were not asked for; at 2 every component is found by both "
            "halves (worst 0.97). No pick is proof.",
        ),
        (
            [0.5, 0.2, 0.0, 0.1, 0.2],
            {**SURE, 4: np.array([0.99, 0.5, 0.9, 0.7])},
            500,
            "Held-out error is least at 4; at 4, 2 of 4 components are not found by both halves (worst 0.50). No "
            "pick is proof.",
        ),
        (
            [0.5, 0.2, 0.0, 0.1, 0.2],
            SURE,
            45,
            "Held-out error is least at 4; at 4 every component is found by both halves (worst 0.97); half of the "
            "sample has 45 rows, fewer than 10 a component above rank 4: there it tells little. No pick is proof.",
        ),
    ],
)
def test_one_honest_sentence(means, agreement, rows, said):
    assert sentence(compare(RANKS, errors(means), 400.0), agreement, rows=rows) == said


def test_a_single_rank_has_nothing_to_compare_with():
    said = sentence(compare((4,), errors([0.1]), 400.0), SURE, rows=500)
    assert said.startswith("Only rank 4 was asked for, so there is nothing to compare; at 4 every component")


def test_a_plateau_names_both_ends():
    found = compare(RANKS, errors([0.5, 0.2, 0.0001, 0.0001, 0.0], noise=0.1), 400.0)
    said = sentence(found, SURE, rows=500)
    assert found.pick == 4
    assert f"at {found.least}" in said
    assert "4 is the smallest within one standard error" in said
