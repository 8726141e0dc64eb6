"""The router in closed form, and words, beside scikit-learn and refits."""

import itertools

import numpy as np
import pytest
from ninefold.errors import InputError
from tswitch.routing import _closed_form
from tswitch.routing._closed_form import ClosedForm, Queries, share, shared
from tswitch.routing._words import Words

VOCABULARY = (("pay", "card", "bank", "my"), ("fly", "trip", "hotel", "my"), ("cook", "oven", "salt", "my"))


def some(rng, counts=(20, 20, 20), spread=1.0, texts=True):
    """Queries of three tasks, around their means in two layers, with three words each."""
    means = rng.normal(size=(len(counts), 2, 8))
    made = {}
    for place, count in enumerate(counts):
        words = Words.of([" ".join(rng.choice(VOCABULARY[place], 3)) for _ in range(count)]) if texts else None
        features = means[place] + spread * rng.normal(size=(count, 2, 8))
        made[f"task {place}"] = Queries(features.astype(np.float32), words)
    return made


def settings(monkeypatch, words, width, ridge):
    for name, value in (("WORDS", words), ("WIDTHS", width), ("RIDGES", ridge)):
        monkeypatch.setattr(_closed_form, name, (value,))


def kernel_by_hand(queries, inputs, texts, asked, width, weight):
    """The kernel of inputs and queries, text by text; words of one query alone are not matched."""
    stored = np.concatenate([one.features for one in queries.values()]).astype(float)
    center = stored.mean(0)
    unit = [(each - center) / np.linalg.norm(each - center, axis=2, keepdims=True) for each in (inputs, stored)]
    cosine = np.einsum("ilf,jlf->ij", *unit) / 2
    split = [text.split() for text in texts]
    bags = [words + [f"{a} {b}" for a, b in itertools.pairwise(words)] for words in split]
    inside = {word: sum(word in bag for bag in bags) for bag in bags for word in bag}

    def vector(text):
        words = text.split()
        words += [f"{a} {b}" for a, b in itertools.pairwise(words)]
        rarity = {word: np.log((1 + len(texts)) / (1 + inside.get(word, 0))) + 1 for word in words}
        found = {word: np.log1p(words.count(word)) * rarity[word] for word in words}
        length = np.sqrt(sum(value**2 for value in found.values()))
        return {word: value / length for word, value in found.items() if inside.get(word, 0) > 1}

    vectors = [vector(text) for text in texts]
    words = [[sum(v * other.get(word, 0) for word, v in vector(text).items()) for other in vectors] for text in asked]
    return np.exp(width * (cosine - 1)) + weight * np.array(words)


def test_scores_are_those_of_a_kernel_ridge_of_scikit_learn(monkeypatch):
    ridge = pytest.importorskip("sklearn.kernel_ridge")
    settings(monkeypatch, 0.3, 2.0, 0.1)
    rng = np.random.default_rng(0)
    queries = some(rng, (9, 20, 5), texts=False)
    texts = [" ".join(rng.choice(VOCABULARY[place], 4)) for place, n in enumerate((9, 20, 5)) for _ in range(n)]
    starts = (0, 9, 29, 34)
    queries = {
        task: Queries(held.features, Words.of(texts[starts[place] : starts[place + 1]]))
        for place, (task, held) in enumerate(queries.items())
    }
    asked = ["pay my pay card", "fly to the oven", "nothing known here"]
    inputs = rng.normal(size=(3, 2, 8)).astype(np.float32)
    stored = np.concatenate([one.features for one in queries.values()])
    peer = ridge.KernelRidge(alpha=0.1, kernel="precomputed")
    peer.fit(kernel_by_hand(queries, stored, texts, texts, 2.0, 0.3), np.repeat(np.eye(3), (9, 20, 5), axis=0))
    want = peer.predict(kernel_by_hand(queries, inputs, texts, asked, 2.0, 0.3))
    np.testing.assert_allclose(ClosedForm(queries).scores(Queries(inputs, Words.of(asked))), want, atol=1e-5)


def test_queries_left_out_are_assigned_as_by_a_fit_without_them(monkeypatch):
    settings(monkeypatch, 0.02, 1.0, 0.1)
    queries = some(np.random.default_rng(0), spread=4.0)
    router = ClosedForm(queries)
    held = list(queries.values())
    kernel = router._kernel(held, 0.02, 1.0, own=True)
    targets = router._targets(held)
    right = 0
    for row in range(len(kernel)):
        rest = np.delete(np.arange(len(kernel)), row)
        weights = np.linalg.solve(kernel[np.ix_(rest, rest)] + 0.1 * np.eye(len(rest)), targets[rest])
        right += (kernel[row, rest] @ weights).argmax() == targets[row].argmax()
    assert 50 < router.left_out < 100
    assert router.left_out == pytest.approx(100 * right / len(kernel))


def test_words_decide_where_features_say_nothing():
    rng = np.random.default_rng(0)
    blind = {
        task: Queries(rng.normal(size=held.features.shape).astype(np.float32), held.words)
        for task, held in some(rng).items()
    }
    router = ClosedForm(blind)
    assert router.words > 0
    asked = Queries(rng.normal(size=(3, 2, 8)), Words.of(["pay the bank", "hotel trip", "salt and oven"]))
    assert router.scores(asked).argmax(1).tolist() == [0, 1, 2]


def test_words_count_only_where_all_tasks_have_them():
    queries = some(np.random.default_rng(0))
    mixed = queries | {"task 1": Queries(queries["task 1"].features)}
    bare = {task: Queries(held.features) for task, held in queries.items()}
    one, other = ClosedForm(mixed), ClosedForm(bare)
    assert (one.words, one.width, one.ridge) == (0.0, other.width, other.ridge)
    assert np.array_equal(one.scores(queries["task 0"]), other.scores(bare["task 0"]))


def test_the_first_queries_of_each_task_share_the_room(monkeypatch):
    queries = some(np.random.default_rng(0), (3, 20, 9))
    assert [share(queries, most) for most in (1, 3, 9, 20, 21, 31, 32, 99)] == [1, 1, 3, 8, 9, 19, 20, 20]
    assert [len(one.features) for one in shared(queries, 20)] == [3, 8, 8]
    monkeypatch.setattr(_closed_form, "FEW", 20)
    monkeypatch.setattr(_closed_form, "MOST", 20)
    less = {task: held.first(8) for task, held in queries.items()}
    assert np.array_equal(ClosedForm(queries).scores(queries["task 1"]), ClosedForm(less).scores(queries["task 1"]))


def test_words_are_counted_and_joined():
    words = Words.of(["A b, a b!", "", "b"])
    assert words.ends.tolist() == [4, 4, 5]
    assert sorted(words.counts[:4].tolist()) == [1, 2, 2, 2]  # "b a" once
    assert words.ids[4] in words.ids[:4]
    joined = Words.join([words, Words.of(["b a"])])
    assert [len(joined), len(joined.take([3, 0]))] == [4, 2]
    assert joined.take([3, 0]).ids.tolist() == [*Words.of(["b a"]).ids, *words.ids[:4]]
    assert len(Words.of([])) == 0


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("ids", np.array([[1, 2, 3]]), "words/ids.*one dimension"),
        ("ids", np.array([1.0, 2, 3]), "words/ids.*float64"),
        ("ids", np.array([1, 2]), "words/counts: got 3, expected 2"),
        ("ids", np.array([2, 1, 3]), "words/ids.*ascending"),
        ("counts", np.array([1, 0, 1], np.int32), "words/counts: got 0"),
        ("ends", np.array([2, 9]), "words/ends"),
        ("ends", np.array([3, 2]), "words/ends"),
        ("ends", np.array([-1, 3]), "words/ends"),
        ("ends", np.array([], np.int64), "words/ends"),
    ],
)
def test_malformed_words_are_refused_by_name(name, value, match):
    arrays = {"ids": np.array([1, 2, 3]), "counts": np.ones(3, np.int32), "ends": np.array([2, 3])}
    assert len(Words(**arrays)) == 2
    with pytest.raises(InputError, match=match):
        Words(**(arrays | {name: value}))
