"""Training-free rivals against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from mecoin.baselines import SgcLda, SgcNcm
from mecoin.baselines._lda import shrunk_covariance
from sklearn.covariance import shrunk_covariance as sklearn_shrunk
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NearestCentroid


def unit(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def learnt(kind, stream, encoders, sessions=1, **options):
    learner = kind(encoders["sgc"], **options)
    for session in list(stream)[:sessions]:
        if session.index == 0:
            learner.fit_base(session.graph, session.support, session.validation)
        else:
            learner.add_classes(session.graph, session.support)
    return learner


def test_base_scores_are_those_of_sklearn_without_shrinkage(stream, encoders):
    session, lda = stream[0], learnt(SgcLda, stream, encoders, shrinkage=0.0)
    z, train = unit(encoders["sgc"].embed(session.graph)), session.graph.positions(session.train)
    y = session.graph.y[train]
    priors = np.full(len(session.new), 1 / len(session.new))
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=priors).fit(z[train], y)
    # sklearn weighs the classes' covariances by the priors, so give it ours to compare scores to the last digit
    inside = np.concatenate([z[train][y == code] - z[train][y == code].mean(0) for code in theirs.classes_])
    theirs.coef_ = np.linalg.solve(inside.T @ inside / len(inside), theirs.means_.T).T
    theirs.intercept_ = -0.5 * np.diag(theirs.means_ @ theirs.coef_.T)
    test = session.graph.positions(session.test)
    ours = lda.scores(session.graph, session.test)
    expected = z[test] @ theirs.coef_.T + theirs.intercept_
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-2)
    assert np.array_equal(lda.classes, theirs.classes_)


def test_predictions_are_those_of_sklearn_where_classes_are_of_one_size(stream, encoders):
    session = stream[0]
    shot = {code: ids[:18] for code, ids in session.support.items()}
    lda = SgcLda(encoders["sgc"], shrinkage=0.1)
    lda.fit_base(session.graph, shot, session.validation)
    z = unit(encoders["sgc"].embed(session.graph)).astype(np.float64)
    places = np.concatenate([session.graph.positions(shot[code]) for code in lda.classes])
    y = np.repeat(lda.classes, 18)
    means = np.stack([z[places[y == code]].mean(0) for code in lda.classes])
    spread = np.concatenate([z[places[y == code]] - means[i] for i, code in enumerate(lda.classes)])
    covariance = sklearn_shrunk(spread.T @ spread / len(spread), shrinkage=0.1)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Known(covariance)).fit(z[places], y)
    test = session.graph.positions(session.test)
    assert np.array_equal(lda.predict(session.graph, session.test), theirs.predict(z[test]))


class Known:
    """A covariance estimator that was told the answer."""

    def __init__(self, covariance_):
        self.covariance_ = covariance_

    def fit(self, x):
        return self


def test_shrinkage_is_that_of_sklearn():
    inside = np.random.default_rng(0).normal(size=(50, 4)) @ np.diag([1, 2, 3, 4])
    expected = sklearn_shrunk(inside.T @ inside / 50, shrinkage=0.3)
    np.testing.assert_allclose(shrunk_covariance(inside, 0.3), expected)
    np.testing.assert_allclose(shrunk_covariance(np.zeros((3, 2)), 0.1), 0.1 * np.eye(2))


def test_nearest_mean_is_that_of_sklearn(stream, encoders):
    session, ncm = stream[0], learnt(SgcNcm, stream, encoders)
    z, train = unit(encoders["sgc"].embed(session.graph)), session.graph.positions(session.train)
    theirs = NearestCentroid().fit(z[train], session.graph.y[train])
    theirs.centroids_ = unit(theirs.centroids_)  # of unit vectors, the nearest is the one of largest cosine
    test = session.graph.positions(session.test)
    assert np.array_equal(ncm.predict(session.graph, session.test), theirs.predict(z[test]))


@pytest.mark.parametrize("kind", [SgcNcm, SgcLda])
def test_old_means_stay_bit_equal(stream, encoders, kind):
    before, after = (learnt(kind, stream, encoders, sessions) for sessions in (1, 3))
    assert np.array_equal(before.means, after.means[: len(before.means)])
    assert len(after.means) == 8
