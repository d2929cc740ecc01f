import io
import sqlite3

import numpy as np
import pandas as pd

SALES = """day,shop,amount
2024-01-30,north,10
2024-01-31,south,20.5
2024-02-01,north,
2024-02-02,south,7
"""


def fails(error, function, *args, **options):
    try:
        function(*args, **options)
    except error as found:
        return str(found)
    raise AssertionError(f"{function} did not fail")


def tables():
    sales = pd.read_csv(io.StringIO(SALES), parse_dates=["day"])
    assert sales.shape == (4, 3) and sales["amount"].isna().sum() == 1
    assert sales.groupby("shop")["amount"].sum().to_dict() == {"north": 10.0, "south": 27.5}
    assert sales.pivot_table(index="shop", columns=sales["day"].dt.month, values="amount", aggfunc="max").loc["south", 2] == 7
    assert sales.sort_values("amount", ascending=False)["shop"].iloc[0] == "south"
    assert sales[sales["shop"].str.startswith("n")].index.tolist() == [0, 2]
    shops = pd.DataFrame({"shop": ["north", "south"], "city": ["A", "B"]})
    assert sales.merge(shops, how="left")["city"].tolist() == ["A", "B", "A", "B"]
    assert sales.melt(id_vars="day")["value"].notna().sum() == 7
    assert sales["amount"].rolling(2).mean().round(2).iloc[1] == 15.25
    assert sales["amount"].ewm(alpha=0.5).mean().notna().all()
    assert sales.query("amount > 8 and shop == 'north'")["amount"].tolist() == [10.0]
    assert pd.concat([sales, sales]).drop_duplicates().shape == (4, 3)
    assert sales["shop"].astype("category").cat.codes.tolist() == [0, 1, 0, 1]
    assert sales.set_index(["shop", "day"]).loc["north"].shape == (2, 1)
    assert pd.cut(sales["amount"], [0, 9, 30], labels=["few", "many"]).tolist()[0] == "many"
    assert sales["amount"].describe()["count"] == 3 and sales["amount"].interpolate().iloc[2] == 13.75


def times():
    hours = pd.date_range("2024-03-30", periods=48, freq="h", tz="Europe/Berlin")
    assert hours[-1].utcoffset().total_seconds() == 7200 and hours[0].utcoffset().total_seconds() == 3600
    counts = pd.Series(1, index=hours).resample("D").sum()
    assert counts.iloc[1] == 23  # the day on which summer time begins
    assert pd.Timestamp("2024-02-29") + pd.DateOffset(years=1) == pd.Timestamp("2025-02-28")
    assert pd.Period("2024-02", "M").days_in_month == 29
    assert pd.to_timedelta("1 days 02:03:04").total_seconds() == 93784
    assert pd.to_datetime(["31.12.2024"], dayfirst=True)[0].month == 12
    assert pd.Timestamp.max.year == 2262 and pd.bdate_range("2024-01-05", periods=2)[1].day == 8


def files():
    sales = pd.read_csv(io.StringIO(SALES))
    assert pd.read_json(io.StringIO(sales.to_json(orient="records"))).equals(sales)
    assert sales.to_csv(index=False).splitlines()[2] == "2024-01-31,south,20.5"
    assert "<td>south</td>" in sales.to_html()
    kept = io.BytesIO()
    sales.to_pickle(kept)
    kept.seek(0)
    assert pd.read_pickle(kept).equals(sales)
    with sqlite3.connect(":memory:") as database:
        sales.to_sql("sales", database, index=False)
        assert pd.read_sql("select sum(amount) from sales", database).iloc[0, 0] == 37.5
    assert str(sales).splitlines()[0].split() == ["day", "shop", "amount"]


def kinds():
    whole = pd.array([1, None, 3], dtype="Int64")
    assert whole.sum() == 4 and whole[1] is pd.NA
    assert pd.Series(["a", None], dtype="string").str.upper()[0] == "A"
    assert pd.Series([2**62, 1]).sum() == 2**62 + 1 and pd.Series([1, 2]).dtype == np.int64
    assert pd.arrays.SparseArray([0, 0, 1]).density < 0.5
    assert pd.IntervalIndex.from_breaks([0, 1, 2]).get_loc(1.5) == 1
    assert pd.factorize(np.array(["b", "a", "b"], dtype=object))[0].tolist() == [0, 1, 0]
    frame = pd.DataFrame({"a": range(1000)})
    assert frame.sample(3, random_state=1)["a"].between(0, 999).all()
    assert frame["a"].rank().iloc[-1] == 1000 and frame["a"].quantile(0.5) == 499.5
    assert frame.groupby(frame["a"] % 2)["a"].agg(["min", "max"]).loc[1].tolist() == [1, 999]
    assert frame.corrwith(frame["a"])["a"] == 1


def faults():
    fails(KeyError, lambda: pd.DataFrame({"a": [1]})["b"])
    fails(pd.errors.ParserError, pd.read_csv, io.StringIO("a\n1\n1,2,3"))
    fails(ValueError, pd.to_datetime, "no date")
    fails(OSError, pd.read_csv, __file__, memory_map=True)
    assert "openpyxl" in fails(ImportError, pd.DataFrame({"a": [1]}).to_excel, "/tmp/a.xlsx", engine="openpyxl")


def handler(event, context):
    tables()
    times()
    files()
    kinds()
    faults()
