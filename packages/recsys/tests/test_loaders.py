import subprocess
import sys

import pytest
from ninefold.errors import InputError
from recsys import loaders


def lines(*rows):
    return "".join(f"{row}\n" for row in rows)


FILES = {
    "u.data": "196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
    "ratings.dat": "1::1193::5::978300760\n1::661::3.5::978302109\n",
    "ratings.csv": "userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n1,29,3.5,1112484676\n",
}


@pytest.mark.parametrize(("name", "text"), FILES.items())
def test_published_form_is_read(name, text, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    data = loaders.movielens(path)
    assert len(data) == 2
    assert 0.8e15 < data.time.min() < 1.8e15


def test_a_quote_is_a_character_like_others_where_the_form_has_none(tmp_path):
    text = '1\t"2\t3\t881250949\n1\t3\t4\t881250950\n2\t"4\t5\t881250951\n2\t5\t1\t881250952\n'
    (tmp_path / "u.data").write_text(text)
    assert len(loaders.movielens(tmp_path / "u.data")) == 4


def test_quotes_in_a_table_beside_movielens_ratings_hide_no_row(tmp_path):
    (tmp_path / "u.data").write_text("1\t1\t3\t881250949\n1\t2\t4\t881250950\n")
    rows = [f'{one}|"Title {one}|01-Jan-1997||http://x|' + "|".join("0" * 19) for one in (1, 2)]
    (tmp_path / "u.item").write_text(lines(*rows), encoding="latin-1")
    assert loaders.movielens(tmp_path / "u.data").items.column("title").to_pylist() == ['"Title 1', '"Title 2']


SIDE = {
    "u1.base": {
        "u.user": "196|49|M|writer|55105\n186|39|F|executive|00000\n",
        "u.item": "242|Kolya (1996)|24-Jan-1997||http://x|0|0|0|0|0|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
        "302|Caf\u00e9|01-Jan-1997||http://y|0|1|0|0|0|0|0|0|0|0|1|0|0|0|0|0|0|0|0\n",
    },
    "ratings.dat": {
        "users.dat": "196::M::49::16::55105\n186::F::39::7::00000\n",
        "movies.dat": "242::Kolya (1996)::Comedy\n302::Caf\u00e9::Action|Film-Noir\n",
    },
    "ratings.csv": {"movies.csv": "movieId,title,genres\n242,Kolya (1996),Comedy\n302,Caf\u00e9,Action|Film-Noir\n"},
}


@pytest.mark.parametrize("name", SIDE)
def test_tables_beside_movielens_ratings_are_joined(name, tmp_path):
    rows = [("196", "242", "3", "881250949"), ("186", "302", "3", "891717742")]
    between, header = {"u1.base": ("\t", ""), "ratings.dat": ("::", "")}.get(
        name, (",", "userId,movieId,rating,timestamp\n")
    )
    (tmp_path / name).write_text(header + lines(*(between.join(one) for one in rows)))
    for file, text in SIDE[name].items():
        (tmp_path / file).write_text(text, encoding="utf-8" if file.endswith(".csv") else "latin-1")
    data = loaders.movielens(tmp_path / name)
    items = data.items.select(["title", "genres", "year"]).to_pylist()
    assert items == [
        {"title": "Kolya (1996)", "genres": "Comedy", "year": 1996},
        {"title": "Caf\u00e9", "genres": "Action|Film-Noir", "year": None},
    ]
    if name != "ratings.csv":
        assert data.users.column("age").to_pylist() == [49, 39]
        assert data.users.column("zip").to_pylist() == ["55105", "00000"]


def test_missing_fields_of_a_line_are_named(tmp_path):
    (tmp_path / "ratings.dat").write_text("1::2::3::978300760\n1::2\n")
    with pytest.raises(InputError, match=r"line 2 in .*ratings\.dat.*4 fields"):
        loaders.movielens(tmp_path / "ratings.dat")
    with pytest.raises(InputError, match=r"ratings\.csv: got no such file, expected"):
        loaders.movielens(tmp_path / "ratings.csv")


def test_modules_of_files_are_there_without_an_import_of_their_own():
    code = "import recsys; recsys.loaders.movielens; recsys.datasets"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
