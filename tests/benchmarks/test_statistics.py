"""What comparisons stand on: a correction, ranks, intervals, a paired test."""

import numpy as np
import pytest
import scipy.stats

from benchmarks import statistics


def test_holm_steps_down_and_never_turns():
    # Holm (1979): 4 x 0.01, 3 x 0.02, 2 x 0.04 but no less, 1 x 0.03 no less.
    np.testing.assert_allclose(
        statistics.holm(np.array([0.04, 0.01, 0.03, 0.02])),
        [0.06, 0.04, 0.06, 0.06],
    )
    assert np.all(statistics.holm(np.array([0.6, 0.9])) == 1.0)


def test_ranks_share_ties():
    np.testing.assert_array_equal(
        statistics.ranks(np.array([[1.0, 0.0, 1.0], [3.0, 2.0, 1.0]])),
        [[2.5, 1.0, 2.5], [3.0, 2.0, 1.0]],
    )


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    values = np.random.default_rng(0).normal(size=(400, 1))
    mean, (low, high) = statistics.mean_interval([values])
    assert mean[0] == pytest.approx(values.mean())
    # 10,000 resamples: the quantiles are known to about 3 %.
    error = values.std() / np.sqrt(len(values))
    assert (high - low)[0] == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_wilcoxon_is_that_of_scipy_and_says_nothing_of_ties():
    assert statistics.wilcoxon(np.zeros(9)) == 1.0
    difference = np.array([0.3, 0.1, -0.2, 0.5, 0.7, 0.4])
    expected = scipy.stats.wilcoxon(difference).pvalue
    assert statistics.wilcoxon(difference) == pytest.approx(expected)
