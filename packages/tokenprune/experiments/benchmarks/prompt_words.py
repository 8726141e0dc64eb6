"""Templates and words of `prompt_kinds.py`, apart by role: none stands in both."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """Of one role.

    Attributes:
        facts, signed, document, table: (what stands in the prompt, its question, how the answer begins); slots {s} subject
            and {v} value.
        code: (a line, what follows the code up to the value).
        clauses, lines: on the format of an answer.
        languages: (sentence, question, what ends the prompt) of five languages.
        subjects, values, names, parts: what fills slots. labels: items of each label.
    """

    facts: tuple[tuple[str, str, str], ...]
    signed: tuple[str, str, str]
    document: tuple[str, str, str]
    code: tuple[str, str]
    table: tuple[str, str, str]
    clauses: tuple[str, ...]
    lines: tuple[str, ...]
    languages: tuple[tuple[str, str, str], ...]
    subjects: tuple[str, ...]
    values: tuple[str, ...]
    names: tuple[str, ...]
    parts: tuple[str, ...]
    labels: dict[str, str]


WORDS = {
    "choosing": Words(
        facts=(
            ("The code word for {s} is {v}.", "What is the code word for {s}?", "The code word is"),
            ("The spare key of {s} lies behind the {v}.", "Behind what does the spare key of {s} lie?", "It lies behind the"),
            ("The colour chosen for {s} was {v}.", "Which colour was chosen for {s}?", "The colour was"),
        ),
        signed=("The report on {s} was written by {v}.", "Who wrote the report on {s}?", "It was written by"),
        document=("The password in this document is {v}.", "What is the password in document {n}, {s}?", "The password is"),
        code=("{n} = {v}", "\n# The value of {n}, defined above, is printed here.\nprint({n})  # prints"),
        table=("| name | age | room |\n| --- | --- | --- |", "In the table, which room does {s} have?", "The room is"),
        clauses=("Answer with one word.", "Reply briefly, with a single word.", "Give only the word, nothing else."),
        lines=(
            "Write the answer in one short line.", "Do not explain your reasoning.",
            "Use the exact words of the text.", "If the text does not say, write unknown.",
        ),
        languages=(
            ("La palabra clave de {s} es {v}.", "Pregunta: ¿Cuál es la palabra clave de {s}?", "\nRespuesta: La palabra clave es"),
            ("Le mot de passe de {s} est {v}.", "Question : quel est le mot de passe de {s} ?", "\nRéponse : Le mot de passe est"),
            ("Das Kennwort von {s} ist {v}.", "Frage: Wie lautet das Kennwort von {s}?", "\nAntwort: Das Kennwort ist"),
            ("La parola chiave di {s} è {v}.", "Domanda: qual è la parola chiave di {s}?", "\nRisposta: La parola chiave è"),
            ("A senha de {s} é {v}.", "Pergunta: qual é a senha de {s}?", "\nResposta: A senha é"),
        ),
        subjects=(
            "the east gate", "the school choir", "the old cousin", "the green house", "the first engine",
            "the market stall", "the island hotel", "the mail room", "the ice rink", "the corner shop",
        ),
        values=(
            "orange", "silver", "purple", "curtain", "statue", "piano", "fountain", "chimney", "yellow", "mirror",
            "blanket", "ladder",
        ),
        names=(
            "Miller", "Evans", "Turner", "Parker", "Collins", "Morgan", "Bailey", "Foster", "Graham", "Wallace",
            "Sutton", "Dixon", "Palmer", "Holmes",
        ),
        parts=("CACHE", "RETRY", "INPUT", "QUEUE", "FRAME", "LIMIT", "DELAY", "TABLE"),
        labels={
            "fruit": "apple pear plum cherry grape peach mango lemon", "tool": "hammer saw wrench drill chisel axe spade file",
            "bird": "eagle sparrow owl crow finch heron swan goose",
        },
    ),
    "reporting": Words(
        facts=(
            ("Visitors of {s} have to say {v} at the door.", "What do visitors of {s} have to say at the door?", "They have to say"),
            ("The secret ingredient of {s} is {v}.", "What is the secret ingredient of {s}?", "The secret ingredient is"),
            ("The winner of the prize of {s} received a {v}.", "What did the winner of the prize of {s} receive?", "The winner received a"),
        ),
        signed=("The bridge near {s} was designed by {v}.", "Who designed the bridge near {s}?", "It was designed by"),
        document=("The author's favourite object is the {v}.", "What is the favourite object of the author of document {n}, {s}?", "It is the"),
        code=("DEFAULT_{n}: int = {v}", "\n>>> DEFAULT_{n}  # set above to the number"),
        table=("player | goals | prize\n--- | --- | ---", "Which prize does the table list for {s}?", "The prize is"),
        clauses=("Please keep it to one word.", "Name it without any comment.", "Be as short as you can."),
        lines=(
            "Format: a single word, no full sentence.", "No introduction and no comment, please.",
            "Quote the text word by word.", "Say nothing else than the answer itself.",
        ),
        languages=(
            ("El regalo que recibió {s} fue {v}.", "¿Qué regalo recibió {s}? Una palabra.", "\nEl regalo fue"),
            ("Le cadeau reçu par {s} était {v}.", "Quel cadeau a été reçu par {s} ? Un mot.", "\nLe cadeau était"),
            ("Das Geschenk für {s} war {v}.", "Welches Geschenk war für {s}? Ein Wort.", "\nDas Geschenk war"),
            ("Il regalo per {s} era {v}.", "Quale regalo era per {s}? Una parola.", "\nIl regalo era"),
            ("O presente para {s} foi {v}.", "Qual foi o presente para {s}? Uma palavra.", "\nO presente foi"),
        ),
        subjects=(
            "the harbour club", "the north tower", "the royal bakery", "the river ferry", "the weather station",
            "the chess society", "the stone mill", "the garden theatre", "the night train", "the copper mine",
        ),
        values=(
            "lantern", "pepper", "violin", "basket", "marble", "walnut", "kettle", "ribbon", "anchor", "cushion",
            "ginger", "saddle",
        ),
        names=(
            "Mercer", "Lindqvist", "Tanaka", "Alvarez", "Novak", "Fischer", "Brennan", "Castell", "Okafor", "Haddad",
            "Jensen", "Moreau", "Petrov", "Santos",
        ),
        parts=("WORKER", "SOCKET", "BATCH", "POOL", "TOKEN", "BUFFER", "WINDOW", "THREAD"),
        labels={
            "metal": "iron copper gold zinc nickel lead tin steel", "drink": "tea coffee milk juice wine beer water cider",
            "animal": "horse rabbit tiger camel monkey sheep donkey wolf",
        },
    ),
}  # fmt: skip
