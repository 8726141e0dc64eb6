"""Recommend from ratings, clicks, context, sequences and content, with evaluation that can be trusted.

The names below are resolved on first use, so that importing this package loads nothing heavy.

Examples:
    >>> import recsys

    >>> data = recsys.simulate(200, 50, 5_000, seed=0).data.clicks()
    >>> train, test = data.split.time()
    >>> model = recsys.EASE(l2=100.0).fit(train)
    >>> lists = model.recommend(["u1", "somebody new"], k=3)
    >>> lists.column("source").to_pylist()
    ['model', 'model', 'model', 'fallback', 'fallback', 'fallback']
    >>> round(recsys.evaluate(model, test, ["ndcg@10"]).mean("ndcg@10"), 2)
    0.42
    >>> recsys.__version__
    '...'
"""

import warnings
from typing import TYPE_CHECKING, Any

from ninefold.lazy import attach

if TYPE_CHECKING:
    from recsys import baselines as baselines
    from recsys import datasets as datasets
    from recsys import evaluation as evaluation
    from recsys import loaders as loaders
    from recsys.baselines._item_knn import ItemKNN as ItemKNN
    from recsys.baselines._popular import Popular as Popular
    from recsys.baselines._popular import RecentPopular as RecentPopular
    from recsys.content._content import ContentKNN as ContentKNN
    from recsys.content._feature_ials import FeatureIALS as FeatureIALS
    from recsys.content._texts import encode_texts as encode_texts
    from recsys.data._dataset import Dataset as Dataset
    from recsys.data._doctor import doctor as doctor
    from recsys.data._simulate import World as World
    from recsys.data._simulate import simulate as simulate
    from recsys.evaluation._best import best as best
    from recsys.evaluation._compare import Comparison as Comparison
    from recsys.evaluation._compare import compare as compare
    from recsys.evaluation._evaluate import Evaluation as Evaluation
    from recsys.evaluation._evaluate import evaluate as evaluate
    from recsys.evaluation._evaluate import evaluate_values as evaluate_values
    from recsys.evaluation._next import evaluate_next as evaluate_next
    from recsys.evaluation._tune import Tuned as Tuned
    from recsys.evaluation._tune import tune as tune
    from recsys.factors._bias import Bias as Bias
    from recsys.factors._ials import IALS as IALS
    from recsys.factors._mf import BiasedMF as BiasedMF
    from recsys.factors._mf import SVDpp as SVDpp
    from recsys.factors._spark import SparkFactors as SparkFactors
    from recsys.fm._bayesian_fm import BayesianFM as BayesianFM
    from recsys.fm._sgd_fm import FM as FM
    from recsys.linear._ease import EASE as EASE
    from recsys.linear._rp3beta import RP3beta as RP3beta
    from recsys.linear._sansa import SANSA as SANSA
    from recsys.linear._slim import SLIM as SLIM
    from recsys.recommender._base import Recommender as Recommender
    from recsys.recommender._store import load as load
    from recsys.recommender._trend import Trend as Trend
    from recsys.sequence._fusion import Fusion as Fusion
    from recsys.sequence._markov import Markov as Markov
    from recsys.sequence._repurchase import Repurchase as Repurchase
    from recsys.sequence._sasrec import SASRec as SASRec
    from recsys.sequence._social import Social as Social
    from recsys.sequence._two_stage import TwoStage as TwoStage
    from recsys.serving._ann import Index as Index
    from recsys.serving._ann import build_index as build_index
    from recsys.serving._app import make_app as make_app
    from recsys.serving._batch import recommend_to as recommend_to
    from recsys.serving._batch import recommend_to_file as recommend_to_file
    from recsys.serving._rerank import calibrate as calibrate
    from recsys.serving._rerank import mmr as mmr
    from recsys.serving._rerank import quota as quota
    from recsys.serving._rerank import rules as rules

    __version__: str

_NAMES = {  # module -> what of it is public
    "baselines": ["baselines"],
    "baselines._item_knn": ["ItemKNN"],
    "baselines._popular": ["Popular", "RecentPopular"],
    "content._content": ["ContentKNN"],
    "content._feature_ials": ["FeatureIALS"],
    "content._texts": ["encode_texts"],
    "data._dataset": ["Dataset"],
    "data._doctor": ["doctor"],
    "data._simulate": ["World", "simulate"],
    "datasets": ["datasets"],
    "evaluation": ["evaluation"],
    "evaluation._best": ["best"],
    "evaluation._compare": ["Comparison", "compare"],
    "evaluation._evaluate": ["Evaluation", "evaluate", "evaluate_values"],
    "evaluation._next": ["evaluate_next"],
    "evaluation._tune": ["Tuned", "tune"],
    "factors._bias": ["Bias"],
    "factors._ials": ["IALS"],
    "factors._mf": ["BiasedMF", "SVDpp"],
    "factors._spark": ["SparkFactors"],
    "fm._bayesian_fm": ["BayesianFM"],
    "fm._sgd_fm": ["FM"],
    "linear._ease": ["EASE"],
    "linear._rp3beta": ["RP3beta"],
    "linear._sansa": ["SANSA"],
    "linear._slim": ["SLIM"],
    "loaders": ["loaders"],
    "recommender._base": ["Recommender"],
    "recommender._store": ["load"],
    "recommender._trend": ["Trend"],
    "sequence._fusion": ["Fusion"],
    "sequence._markov": ["Markov"],
    "sequence._repurchase": ["Repurchase"],
    "sequence._sasrec": ["SASRec"],
    "sequence._social": ["Social"],
    "sequence._two_stage": ["TwoStage"],
    "serving._ann": ["Index", "build_index"],
    "serving._app": ["make_app"],
    "serving._batch": ["recommend_to", "recommend_to_file"],
    "serving._rerank": ["calibrate", "mmr", "quota", "rules"],
}
_MOVED = ("baselines", "evaluation")  # their names were of `recsys` itself until 0.3; they are found here until 0.5

_resolve, __dir__, __all__ = attach(__name__, {name: module for module, names in _NAMES.items() for name in names})


def __getattr__(name: str) -> Any:
    room = next((room for room in _MOVED if name in _resolve(room).__all__ and name not in __all__), None)
    if room is None:
        return _resolve(name)
    warnings.warn(f"recsys.{name} is recsys.{room}.{name}: the short name goes with 0.5", FutureWarning, stacklevel=2)
    return getattr(_resolve(room), name)
