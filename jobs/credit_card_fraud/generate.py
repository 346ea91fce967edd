"""Make the source tables of the fraud system: three folders of Parquet files.

A star of transactions, credit cards and profiles.

The columns are those of the public data set "Credit Card Transactions Fraud Detection" (Kaggle,
kartik2112), plus the expiry of each card. The same seed makes the same rows, at any size; cards are
made a few at a time, so memory does not grow with them. Instead, the public file may be taken,
which lacks the expiry: that is drawn then, and transactions of one card in one second are told
apart by microseconds.

Two kinds of fraud are planted, neither of which shows in a single transaction's amount, category or
distance from home: *chains*, many transactions of one card within two to four hours, and *travel*,
a few in a far city shortly after one at home. Shopping sprees and journeys, which look a little
alike, are there too.

    python jobs/credit_card_fraud/generate.py --out .fraud/source --cards 1000 --days 90
    python jobs/credit_card_fraud/generate.py --out .fraud/source --data fraudTrain.csv
"""

import argparse
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

START = pd.Timestamp("2024-01-01", tz="UTC")
CHUNK = 500  # cards that are made together
CITIES = pd.DataFrame(
    [
        ("New York", "NY", 10001, 40.71, -74.01, 8_335_897),
        ("Los Angeles", "CA", 90001, 34.05, -118.24, 3_822_238),
        ("Chicago", "IL", 60601, 41.88, -87.63, 2_665_039),
        ("Houston", "TX", 77001, 29.76, -95.37, 2_302_878),
        ("Phoenix", "AZ", 85001, 33.45, -112.07, 1_644_409),
        ("Philadelphia", "PA", 19019, 39.95, -75.17, 1_567_258),
        ("Denver", "CO", 80202, 39.74, -104.99, 713_252),
        ("Seattle", "WA", 98101, 47.61, -122.33, 749_256),
        ("Miami", "FL", 33101, 25.76, -80.19, 449_514),
        ("Boston", "MA", 2108, 42.36, -71.06, 650_706),
        ("Atlanta", "GA", 30303, 33.75, -84.39, 499_127),
        ("Minneapolis", "MN", 55401, 44.98, -93.27, 425_096),
        ("St. Louis", "MO", 63101, 38.63, -90.20, 286_578),
        ("Boise", "ID", 83702, 43.62, -116.20, 236_634),
        ("Fargo", "ND", 58102, 46.88, -96.79, 131_444),
        ("Burlington", "VT", 5401, 44.48, -73.21, 44_595),
        ("Bisbee", "AZ", 85603, 31.45, -109.93, 4_923),
        ("Moab", "UT", 84532, 38.57, -109.55, 5_336),
    ],
    columns=["city", "state", "zip", "lat", "long", "city_pop"],
)
CATEGORIES = {  # how often, and the mean and deviation of the logarithm of the amount
    "gas_transport": (0.10, 4.1, 0.3),
    "grocery_pos": (0.10, 4.6, 0.5),
    "home": (0.09, 3.8, 0.8),
    "shopping_pos": (0.09, 3.6, 1.2),
    "kids_pets": (0.09, 3.7, 0.8),
    "shopping_net": (0.08, 3.7, 1.2),
    "entertainment": (0.07, 3.8, 0.8),
    "food_dining": (0.07, 3.6, 0.7),
    "personal_care": (0.07, 3.5, 0.8),
    "health_fitness": (0.07, 3.6, 0.8),
    "misc_pos": (0.06, 3.3, 1.0),
    "misc_net": (0.05, 3.5, 1.1),
    "grocery_net": (0.03, 3.9, 0.4),
    "travel": (0.03, 3.2, 1.4),
}
HOURS = np.array([2, 1, 1, 1, 1, 2, 3, 4, 5, 5, 6, 6, 7, 7, 6, 6, 6, 6, 7, 7, 6, 5, 4, 3]) / 107
FIRST = {
    "F": ["Ada", "Berta", "Clara", "Dora", "Emma", "Frida", "Grace", "Hedy"],
    "M": ["Alan", "Bruno", "Carl", "David", "Emil", "Felix"],
}
LAST = [
    "Abbott",
    "Baker",
    "Cole",
    "Diaz",
    "Ellis",
    "Fox",
    "Gray",
    "Hill",
    "Ito",
    "Jones",
    "Kim",
    "Lopez",
    "Moss",
    "Nash",
]
JOBS = [
    "Nurse",
    "Teacher",
    "Engineer",
    "Chemist",
    "Surveyor",
    "Librarian",
    "Electrician",
    "Film editor",
    "Geologist",
    "Retired",
]
STREETS = ["Oak Street", "Main Street", "Maple Avenue", "Park Road", "Lake Drive", "Hill Lane"]
SPREES, JOURNEYS, CHAINS, TRAVELS = 0.006, 0.012, 0.0022, 0.003  # for each card and day
Floats = npt.NDArray[np.float64]


def chunks(
    cards: int, days: int, seed: int
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]]:
    """Transactions, credit cards and profiles, some cards at a time."""
    for number, first in enumerate(range(0, cards, CHUNK)):
        rng = np.random.default_rng([seed, number])
        size = min(CHUNK, cards - first)
        profiles, homes = _profiles(rng, first, size)
        made = _transactions(rng, profiles["cc_num"].to_numpy(), homes, days)
        yield (
            made,
            _cards(rng, profiles["cc_num"].to_numpy(), days),
            _with_moves(rng, profiles, days),
        )


def _profiles(rng: np.random.Generator, first: int, size: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    homes = CITIES.iloc[rng.integers(0, len(CITIES), size)].reset_index(drop=True)
    gender = rng.choice(["F", "M"], size)
    made = pd.DataFrame(
        {
            "cc_num": 4_000_000_000_000_000 + np.arange(first, first + size) * 7_919,
            "first": [
                FIRST[g][i % len(FIRST[g])]
                for g, i in zip(gender, rng.integers(0, 48, size), strict=True)
            ],
            "last": rng.choice(LAST, size),
            "gender": gender,
            "street": [f"{n} {STREETS[n % len(STREETS)]}" for n in rng.integers(1, 9_999, size)],
            **{name: homes[name].to_numpy() for name in ("city", "state", "zip")},
            "lat": np.round(homes["lat"] + rng.normal(0, 0.1, size), 4),
            "long": np.round(homes["long"] + rng.normal(0, 0.1, size), 4),
            "city_pop": homes["city_pop"].to_numpy(),
            "job": rng.choice(JOBS, size),
            "dob": (
                (
                    pd.Timestamp("1940-01-01") + pd.to_timedelta(rng.integers(0, 24_000, size), "D")
                ).date
            ),
        }
    )
    return made, made[["lat", "long"]]


def _with_moves(rng: np.random.Generator, profiles: pd.DataFrame, days: int) -> pd.DataFrame:
    """The profiles as first known, and again where somebody took up another job, as of a Monday."""
    known = profiles.assign(updated_at=START)
    weeks = days // 7
    movers = np.flatnonzero(rng.random(len(profiles)) < 0.005 * weeks)
    moved = profiles.iloc[movers].assign(
        job=rng.choice(JOBS, len(movers)),
        updated_at=START
        + pd.to_timedelta(7 * rng.integers(1, max(weeks, 1) + 1, len(movers)), "D"),
    )
    return pd.concat([known, moved] if len(moved) else [known], ignore_index=True)


def _cards(rng: np.random.Generator, numbers: npt.NDArray[np.int64], days: int) -> pd.DataFrame:
    """Each card's expiry as first known, and the new one of a renewed card.

    The new one is known thirty days before the old one ends.
    """
    expiry = START.normalize() + pd.to_timedelta(rng.integers(10, 1_500, len(numbers)), "D")
    first = pd.DataFrame(
        {"cc_num": numbers, "cc_expiration_date": expiry.date, "updated_at": START}
    )
    renewed = np.flatnonzero(expiry - pd.Timedelta(days=30) < START + pd.Timedelta(days=days))
    again = first.iloc[renewed].assign(
        cc_expiration_date=(expiry[renewed] + pd.Timedelta(days=1_461)).date,
        updated_at=[
            max(end - pd.Timedelta(days=30), START + pd.Timedelta(days=1))
            for end in expiry[renewed]
        ],
    )
    return pd.concat([first, again] if len(again) else [first], ignore_index=True)


def _transactions(
    rng: np.random.Generator, numbers: npt.NDArray[np.int64], homes: pd.DataFrame, days: int
) -> pd.DataFrame:
    home = homes[["lat", "long"]].to_numpy()
    card = np.repeat(np.arange(len(numbers)), rng.poisson(rng.gamma(6, 0.5, len(numbers)) * days))
    day, hour = rng.integers(0, days, len(card)), rng.choice(24, len(card), p=HOURS)
    plain = _events(
        card,
        ((day * 24 + hour) * 3600 + rng.integers(0, 3600, len(card))).astype(np.float64),
        home[card],
    )
    journeys = _incidents(rng, len(numbers), days, JOURNEYS)
    for who, when in journeys:
        away = (
            (card == who)
            & (plain["second"] >= when)
            & (plain["second"] < when + rng.integers(2, 7) * 86_400)
        )
        plain.loc[away, ["merch_lat", "merch_long"]] = (
            CITIES[["lat", "long"]].iloc[rng.integers(0, len(CITIES))].to_numpy()
        )
    parts = [plain]
    for share, least, most, hours, fraud, far in (
        (SPREES, 4, 8, 6, 0, False),
        (CHAINS, 6, 14, 4, 1, False),
        (TRAVELS, 2, 5, 3, 1, True),
    ):
        for who, when in _incidents(rng, len(numbers), days, share):
            size = int(rng.integers(least, most))
            place = _far_from(rng, home[who]) if far else home[who]
            seconds = when + np.sort(rng.integers(0, hours * 3600, size))
            parts.append(
                _events(
                    np.full(size, who),
                    seconds.astype(float),
                    np.repeat(place[None], size, axis=0),
                    fraud,
                )
            )
    made = pd.concat(parts, ignore_index=True)
    return _finished(rng, made[made["second"] < days * 86_400].reset_index(drop=True), numbers)


def _incidents(
    rng: np.random.Generator, cards: int, days: int, share: float
) -> list[tuple[int, int]]:
    count = rng.poisson(cards * days * share)
    return list(
        zip(
            rng.integers(0, cards, count).tolist(),
            rng.integers(0, days * 86_400, count).tolist(),
            strict=True,
        )
    )


def _far_from(rng: np.random.Generator, home: Floats) -> Floats:
    places: Floats = CITIES[["lat", "long"]].to_numpy()
    far = places[np.abs(places - home).sum(axis=1) > 8]
    place: Floats = far[rng.integers(0, len(far))]
    return place


def _events(
    card: npt.NDArray[np.int64], second: Floats, place: Floats, fraud: int = 0
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "card": card,
            "second": second,
            "merch_lat": place[:, 0],
            "merch_long": place[:, 1],
            "is_fraud": fraud,
        }
    )


def _finished(
    rng: np.random.Generator, made: pd.DataFrame, numbers: npt.NDArray[np.int64]
) -> pd.DataFrame:
    """With what does not hang on whether it is fraud: category, amount, merchant."""
    size, names = len(made), list(CATEGORIES)
    share, mean, deviation = (np.array([CATEGORIES[name][i] for name in names]) for i in range(3))
    kind = rng.choice(len(names), size, p=share / share.sum())
    thrift = rng.lognormal(0, 0.3, len(numbers))[made["card"]]
    merchant = rng.integers(0, 40, size)
    time = START + pd.to_timedelta(made["second"].astype("int64"), "s")
    found = pd.DataFrame(
        {
            "trans_date_trans_time": time.dt.as_unit("us"),
            "cc_num": numbers[made["card"]],
            "merchant": [
                f"{LAST[m % len(LAST)]} {names[k]} {m}" for m, k in zip(merchant, kind, strict=True)
            ],
            "category": np.array(names)[kind],
            "amt": np.round(
                np.maximum(rng.lognormal(mean[kind], deviation[kind]) * thrift, 1.0), 2
            ),
            "trans_num": [
                f"{a:016x}{b:016x}" for a, b in rng.integers(0, 1 << 63, (size, 2)).tolist()
            ],
            "unix_time": time.astype("datetime64[s, UTC]").astype("int64"),
            "merch_lat": np.round(made["merch_lat"] + rng.normal(0, 0.12, size), 6),
            "merch_long": np.round(made["merch_long"] + rng.normal(0, 0.12, size), 6),
            "is_fraud": made["is_fraud"].astype("int64"),
        }
    )
    return _told_apart(found)


def _told_apart(transactions: pd.DataFrame) -> pd.DataFrame:
    """Set transactions of one card in one second a microsecond apart, by their numbers."""
    ordered = transactions.sort_values(
        ["cc_num", "trans_date_trans_time", "trans_num"], ignore_index=True
    )
    rank = ordered.groupby(["cc_num", "trans_date_trans_time"]).cumcount()
    return ordered.assign(
        trans_date_trans_time=ordered["trans_date_trans_time"] + pd.to_timedelta(rank, "us")
    )


def of_file(path: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The same three tables from the public file."""
    data = pd.read_csv(path)
    data["trans_date_trans_time"] = pd.to_datetime(
        data["trans_date_trans_time"], utc=True
    ).dt.as_unit("us")
    began = data["trans_date_trans_time"].min().normalize()
    people = [
        "cc_num",
        "first",
        "last",
        "gender",
        "street",
        "city",
        "state",
        "zip",
        "lat",
        "long",
        "city_pop",
        "job",
        "dob",
    ]
    profiles = data[people].drop_duplicates("cc_num", ignore_index=True).assign(updated_at=began)
    profiles["dob"] = pd.to_datetime(profiles["dob"]).dt.date
    drawn = [
        int(hashlib.sha256(str(number).encode()).hexdigest()[:8], 16) % 1_500 + 30
        for number in profiles["cc_num"]
    ]
    expiry = (began + pd.to_timedelta(drawn, "D")).date
    cards = pd.DataFrame(
        {"cc_num": profiles["cc_num"], "cc_expiration_date": expiry, "updated_at": began}
    )
    names = [
        "cc_num",
        "merchant",
        "category",
        "amt",
        "trans_num",
        "unix_time",
        "merch_lat",
        "merch_long",
        "is_fraud",
    ]
    return _told_apart(data[["trans_date_trans_time", *names]]), cards, profiles


def main() -> None:
    """Write the three tables and say how many rows they have."""
    parser = argparse.ArgumentParser(description="Make the source tables of the fraud system.")
    parser.add_argument(
        "--out", type=Path, required=True, help="a folder for transactions, cards and profiles"
    )
    parser.add_argument("--cards", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=90, help="from 2024-01-01 on, in UTC")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--data", type=Path, help="the public file, such as fraudTrain.csv, instead of made rows"
    )
    options = parser.parse_args()
    made = (
        iter([of_file(options.data)])
        if options.data
        else chunks(options.cards, options.days, options.seed)
    )
    counts = {"transactions": 0, "cards": 0, "profiles": 0}
    for name in counts:
        shutil.rmtree(options.out / name, ignore_errors=True)
    fraud = 0
    for number, tables in enumerate(made):
        for name, table in zip(counts, tables, strict=True):
            folder = options.out / name
            folder.mkdir(parents=True, exist_ok=True)
            table.to_parquet(
                folder / f"{number:05}.parquet",
                index=False,
                coerce_timestamps="us",
                allow_truncated_timestamps=True,
            )
            counts[name] += len(table)
        fraud += int(tables[0]["is_fraud"].sum())
    print(
        f"transactions {counts['transactions']:,} (fraud {fraud:,}), cards {counts['cards']:,},"
        f" profiles {counts['profiles']:,}"
    )


if __name__ == "__main__":
    main()
