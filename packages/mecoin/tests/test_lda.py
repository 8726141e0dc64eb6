"""Training-free rivals against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from mecoin.baselines import SgcLda, SgcLdaEm, SgcNcm
from mecoin.memory._plus import MecoinPlus
from ninefold_graphs import whitening
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
    ours = lda._scores(session.graph, session.graph.positions(session.test))
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
    z = np.random.default_rng(0).normal(size=(50, 4)) @ np.diag([1, 2, 3, 4])
    inside = z - z.mean(axis=0)
    expected = sklearn_shrunk(inside.T @ inside / 50, shrinkage=0.3)
    made = whitening(z, {0: np.arange(50)}, 0.3).astype(np.float64)
    np.testing.assert_allclose(np.linalg.inv(made @ made.T), expected, rtol=1e-4)


def test_nearest_mean_is_that_of_sklearn(stream, encoders):
    session, ncm = stream[0], learnt(SgcNcm, stream, encoders)
    z, train = unit(encoders["sgc"].embed(session.graph)), session.graph.positions(session.train)
    theirs = NearestCentroid().fit(z[train], session.graph.y[train])
    theirs.centroids_ = unit(theirs.centroids_)  # of unit vectors, the nearest is the one of largest cosine
    test = session.graph.positions(session.test)
    assert np.array_equal(ncm.predict(session.graph, session.test), theirs.predict(z[test]))


@pytest.mark.parametrize("kind", [SgcNcm, SgcLda, SgcLdaEm])
def test_old_means_stay_bit_equal(stream, encoders, kind):
    before, after = (means(learnt(kind, stream, encoders, sessions)) for sessions in (1, 3))
    assert np.array_equal(before, after[: len(before)])
    assert len(after) == 8


def means(learner):
    return learner.means if isinstance(learner, SgcNcm) else learner.smu.prototypes


def test_the_control_with_unlabelled_nodes_moves_new_means_as_the_method_does(stream, encoders):
    plain, refined = (learnt(kind, stream, encoders, 2) for kind in (SgcLda, SgcLdaEm))
    ours = learnt(MecoinPlus, stream, encoders, 2)
    np.testing.assert_array_equal(refined.smu.prototypes, ours.content.smu.prototypes)
    assert np.abs(plain.smu.prototypes[4:] - refined.smu.prototypes[4:]).max() > 1e-3
