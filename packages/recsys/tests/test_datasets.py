from importlib.resources import files

import pytest
from ninefold.errors import InputError
from recsys import datasets
from recsys_experiments import real_sets

from .helpers import needs_data


def test_embedded_purchases_have_their_documented_size_and_carry_their_licence():
    data = datasets.embedded_retail()
    assert (len(data), data.n_users, data.n_items) == (383_920, 4_334, 3_659)
    assert (data.user_ids.type_name, data.item_ids.type_name) == ("integer", "text")
    assert data.items.column("description").null_count == 0
    folder = files("recsys") / "embedded"
    assert {one.name for one in folder.iterdir()} == {
        "LICENSE.md", "online_retail.parquet", "online_retail_products.parquet",
    }  # fmt: skip
    licence = (folder / "LICENSE.md").read_text(encoding="utf-8")
    for word in ("D. Chen (2015)", "10.24432/C5BW33", "CC BY 4.0", "Changes:"):
        assert word in licence


@needs_data
def test_embedded_purchases_are_those_of_the_whole_set():
    whole, part = real_sets.online_retail().to_table().to_pandas(), datasets.embedded_retail().to_table().to_pandas()
    days = whole.assign(day=whole.InvoiceDate.dt.floor("D"))[["CustomerID", "StockCode", "day"]].drop_duplicates()
    days = days.sort_values(["day", "CustomerID", "StockCode"])
    for name, other in (("customer", "CustomerID"), ("product", "StockCode"), ("day", "day")):
        assert (part[name].to_numpy() == days[other].to_numpy()).all()


@needs_data
def test_msweb_users_of_both_files_are_kept_apart():
    train, test = real_sets.msweb()
    assert (train.n_users, test.n_users, len(train), len(test)) == (32711, 5000, 98654, 15191)
    given, hidden = real_sets.all_but_one(test)
    assert len(hidden) == hidden.n_users == given.n_users == 3453


@needs_data
def test_the_five_sets_have_their_documented_sizes():
    retail = real_sets.online_retail()
    assert (len(retail), retail.n_users, retail.n_items) == (396_337, 4_334, 3_659)
    assert retail.items.column("Description").null_count == 0
    entree = real_sets.entree()
    assert (len(entree), entree.n_users) == (189_291 + 44_580, 50_672)
    ratings = real_sets.ml_latest_small()
    assert (len(ratings), ratings.n_users, ratings.warm().n_items, ratings.n_items) == (100_004, 671, 9_066, 9_125)
    coupon = real_sets.coupon()
    assert (len(coupon), coupon.n_users, coupon.n_items) == (12_684, 587, 5)
    assert coupon.value.mean() == pytest.approx(0.5684, abs=1e-4)


def test_dst_files_name_items_and_keep_equal_numbers_of_two_files_apart(tmp_path):
    rows = ['I,4,"www.example.org","made by hand"', 'A,1000,1,"N\u00e9ws, sports","/news"', 'C,"10001",10001']
    text = "".join(f"{row}\n" for row in [*rows, "V,1000,1", "V,1001,1"])
    (tmp_path / "web.data").write_text(text, encoding="latin-1")
    data = real_sets.dst(tmp_path / "web.data", users="train-")
    assert data.user_ids.values.to_pylist() == ["train-10001"]
    assert data.items.slice(0, 1).to_pylist() == [{"title": "N\u00e9ws, sports", "url": "/news"}]
    assert data.items_listed.tolist() == [True, False]
    for text, reason in (("V,1,1\n", "line 1.*after a C line"), ('C,"x",x\n', "line 1"), ("T,1\n", "no V line")):
        (tmp_path / "bad.data").write_text(text)
        with pytest.raises(InputError, match=reason):
            real_sets.dst(tmp_path / "bad.data")
