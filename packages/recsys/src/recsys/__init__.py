"""Recommend from ratings, clicks, context, sequences and content, with evaluation that can be trusted.

The names below are resolved on first use, so that importing this package loads nothing heavy.
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from recsys import datasets as datasets
    from recsys import loaders as loaders
    from recsys.baselines._co_occurrence import CoOccurrence as CoOccurrence
    from recsys.baselines._implicit import ImplicitALS as ImplicitALS
    from recsys.baselines._implicit import ImplicitBPR as ImplicitBPR
    from recsys.baselines._item_knn import ItemKNN as ItemKNN
    from recsys.baselines._popular import Popular as Popular
    from recsys.baselines._popular import RandomItems as RandomItems
    from recsys.baselines._popular import RecentPopular as RecentPopular
    from recsys.baselines._popular import Repeat as Repeat
    from recsys.baselines._profile import ContentProfile as ContentProfile
    from recsys.baselines._puresvd import PureSVD as PureSVD
    from recsys.baselines._user_knn import UserKNN as UserKNN
    from recsys.content._content import ContentKNN as ContentKNN
    from recsys.content._feature_ials import FeatureIALS as FeatureIALS
    from recsys.content._texts import encode_texts as encode_texts
    from recsys.content._two_tower import TwoTower as TwoTower
    from recsys.data._dataset import Dataset as Dataset
    from recsys.data._doctor import doctor as doctor
    from recsys.data._simulate import World as World
    from recsys.data._simulate import simulate as simulate
    from recsys.evaluation._beyond import beyond_accuracy as beyond_accuracy
    from recsys.evaluation._beyond import exposure as exposure
    from recsys.evaluation._beyond import utility as utility
    from recsys.evaluation._compare import Comparison as Comparison
    from recsys.evaluation._compare import compare as compare
    from recsys.evaluation._evaluate import Evaluation as Evaluation
    from recsys.evaluation._evaluate import evaluate as evaluate
    from recsys.evaluation._evaluate import evaluate_values as evaluate_values
    from recsys.evaluation._next import evaluate_next as evaluate_next
    from recsys.evaluation._propensity import ips as ips
    from recsys.evaluation._propensity import snips as snips
    from recsys.evaluation._tune import Tuned as Tuned
    from recsys.evaluation._tune import tune as tune
    from recsys.factors._bias import Bias as Bias
    from recsys.factors._ials import IALS as IALS
    from recsys.factors._ials import IALSpp as IALSpp
    from recsys.factors._lightgcn import LightGCN as LightGCN
    from recsys.factors._mf import BiasedMF as BiasedMF
    from recsys.factors._mf import SVDpp as SVDpp
    from recsys.factors._mult_vae import MultVAE as MultVAE
    from recsys.factors._rating_knn import RatingKNN as RatingKNN
    from recsys.factors._spark import SparkALS as SparkALS
    from recsys.fm._bayesian_fm import BayesianFM as BayesianFM
    from recsys.fm._sgd_fm import FM as FM
    from recsys.linear._ease import EASE as EASE
    from recsys.linear._elsa import ELSA as ELSA
    from recsys.linear._gfcf import GFCF as GFCF
    from recsys.linear._rp3beta import RP3beta as RP3beta
    from recsys.linear._sansa import SANSA as SANSA
    from recsys.linear._slim import SLIM as SLIM
    from recsys.loaders._open_bandit import open_bandit as open_bandit
    from recsys.recommender._base import Recommender as Recommender
    from recsys.recommender._store import load as load
    from recsys.sequence._esasrec import ESASRec as ESASRec
    from recsys.sequence._markov import Markov as Markov
    from recsys.sequence._sasrec import SASRec as SASRec
    from recsys.sequence._sequence_rivals import BERT4Rec as BERT4Rec
    from recsys.sequence._sequence_rivals import GRU4Rec as GRU4Rec
    from recsys.sequence._vsknn import VSKNN as VSKNN
    from recsys.serving._ann import Index as Index
    from recsys.serving._ann import build_index as build_index
    from recsys.serving._batch import recommend_to_file as recommend_to_file
    from recsys.serving._rerank import calibrate as calibrate
    from recsys.serving._rerank import mmr as mmr
    from recsys.serving._rerank import quota as quota
    from recsys.serving._rerank import rules as rules
    from recsys.serving._serve import make_server as make_server

    __version__: str

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BayesianFM": "fm._bayesian_fm",
        "BERT4Rec": "sequence._sequence_rivals",
        "beyond_accuracy": "evaluation._beyond",
        "Bias": "factors._bias",
        "BiasedMF": "factors._mf",
        "build_index": "serving._ann",
        "calibrate": "serving._rerank",
        "compare": "evaluation._compare",
        "Comparison": "evaluation._compare",
        "ContentKNN": "content._content",
        "ContentProfile": "baselines._profile",
        "CoOccurrence": "baselines._co_occurrence",
        "Dataset": "data._dataset",
        "doctor": "data._doctor",
        "EASE": "linear._ease",
        "ELSA": "linear._elsa",
        "encode_texts": "content._texts",
        "ESASRec": "sequence._esasrec",
        "evaluate": "evaluation._evaluate",
        "evaluate_next": "evaluation._next",
        "evaluate_values": "evaluation._evaluate",
        "Evaluation": "evaluation._evaluate",
        "exposure": "evaluation._beyond",
        "FeatureIALS": "content._feature_ials",
        "FM": "fm._sgd_fm",
        "GFCF": "linear._gfcf",
        "GRU4Rec": "sequence._sequence_rivals",
        "IALS": "factors._ials",
        "IALSpp": "factors._ials",
        "ImplicitALS": "baselines._implicit",
        "ImplicitBPR": "baselines._implicit",
        "Index": "serving._ann",
        "ips": "evaluation._propensity",
        "ItemKNN": "baselines._item_knn",
        "LightGCN": "factors._lightgcn",
        "load": "recommender._store",
        "make_server": "serving._serve",
        "Markov": "sequence._markov",
        "mmr": "serving._rerank",
        "MultVAE": "factors._mult_vae",
        "open_bandit": "loaders._open_bandit",
        "Popular": "baselines._popular",
        "PureSVD": "baselines._puresvd",
        "quota": "serving._rerank",
        "RandomItems": "baselines._popular",
        "RatingKNN": "factors._rating_knn",
        "RecentPopular": "baselines._popular",
        "recommend_to_file": "serving._batch",
        "Recommender": "recommender._base",
        "Repeat": "baselines._popular",
        "RP3beta": "linear._rp3beta",
        "rules": "serving._rerank",
        "SANSA": "linear._sansa",
        "SASRec": "sequence._sasrec",
        "simulate": "data._simulate",
        "SLIM": "linear._slim",
        "snips": "evaluation._propensity",
        "SparkALS": "factors._spark",
        "SVDpp": "factors._mf",
        "tune": "evaluation._tune",
        "Tuned": "evaluation._tune",
        "TwoTower": "content._two_tower",
        "UserKNN": "baselines._user_knn",
        "utility": "evaluation._beyond",
        "VSKNN": "sequence._vsknn",
        "World": "data._simulate",
        "datasets": "datasets",
        "loaders": "loaders",
    },
)
