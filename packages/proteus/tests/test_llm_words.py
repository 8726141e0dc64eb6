import pytest
from proteus.llm import _words as words
from proteus.llm._words import made_up, quoted_words

SETS = "Interleukin-4 and Interleukin-13 signaling"
FOUND = {"entity": "MAPT", "target": "fmol100-fmol25", "q": 0.01}
KNOWN = quoted_words({"profile": {"scale": "log2"}, "findings": [FOUND], "set": SETS, "token": "level~1"})


@pytest.mark.parametrize(
    "text",
    [
        "MAPT rises (log2) in fmol100.", "MAPT/tau, in fmol100-fmol25: up!", "Interleukin-13 signaling and level~1",
        "PCA shows no batch.", "It is clear.", "",
    ],
)  # fmt: skip
def test_words_about_what_was_quoted_pass(text):
    assert made_up({"summary": text}, KNOWN) is None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("It is 42.7-fold.", "42.7"), ("MAPT rises 2 times", "'2'"), ("p = 0.01", "0.01"), ("about ½", "½"),
        ("ZNFAKE9 too.", "ZNFAKE9"), ("APOE falls", "APOE"), ("MAPT-APOE axis", "APOE"), ("up by 10^3", "10"),
    ],
)  # fmt: skip
def test_typed_numbers_and_strange_names_do_not(text, wrong):
    found = made_up({"objectives": [{"question": "fine", "rationale": text}]}, KNOWN)
    assert found is not None
    assert wrong in found


def test_fields_that_are_no_prose_are_the_registrys_to_check():
    assert made_up({"steps": [{"id": "S1", "tool": "XYZ", "params": {"lfc": 1.5, "name": "A9Z"}}]}, KNOWN) is None


def test_a_text_is_taken_apart_once_however_often_it_is_quoted(monkeypatch):
    taken = []

    class Counted:
        def findall(self, text):
            taken.append(text)
            return text.split()

    monkeypatch.setattr(words, "_TOKEN", Counted())
    words._words_of.cache_clear()
    cards = [{"summary": "does this and that", "type": "object"}] * 3
    first = words.quoted_words([cards, {"seen": cards}])
    assert first == words.quoted_words(cards) | {"seen"}
    assert {"does this and that", "does", "object"} <= first
    assert taken == ["does this and that"]
    words._words_of.cache_clear()
