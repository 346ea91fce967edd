"""Train on flights until November and judge on later ones.

Three times: with the weather, without it, and with a leak.

The leaking join gives each flight the delay windows of the last departure of its day, the way a
join on key and date does: the windows then hold the delays of flights that were still in the air,
the flight's own among them.

    python jobs/flights/train.py --split 2013-11-01 --end 2013-12-04
"""

import argparse
import json
import sys
from pathlib import Path

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parents[1]))
import spark_fs  # a program puts this file's folder on the path, not jobs/
from flights import groups

KEY = ["origin", "carrier"]
IDENTITY = ["carrier", "flight", "origin", "sched_dep"]


def leaking(flights: pd.DataFrame, windows: pd.DataFrame) -> pd.DataFrame:
    """The flights with the windows of the day's last departure of their origin and carrier."""
    names = [c for c in windows.columns if c.startswith("arr_delay")]
    by_day = (
        windows.assign(day=windows["sched_dep"].dt.date)
        .sort_values("sched_dep")
        .groupby([*KEY, "day"])
        .last()
    )
    joined = flights.drop(columns=names).assign(day=flights["sched_dep"].dt.date)
    return joined.merge(by_day[names].reset_index(), on=[*KEY, "day"], how="left")[flights.columns]


def auc(
    x_train: pd.DataFrame, x_test: pd.DataFrame, y_train: pd.DataFrame, y_test: pd.DataFrame
) -> float:
    """Area under the ROC curve on the test split, of boosted trees trained on the train split."""
    model = HistGradientBoostingClassifier(random_state=0)
    model.fit(x_train.drop(columns=IDENTITY), y_train["late"])
    return float(
        roc_auc_score(y_test["late"], model.predict_proba(x_test.drop(columns=IDENTITY))[:, 1])
    )


def main() -> None:
    """Split by time, train three models, write their AUC to --report."""
    parser = argparse.ArgumentParser(description="Train and judge models of late arrivals.")
    parser.add_argument(
        "--split",
        required=True,
        help="the end of the train split and the start of the test split, in UTC",
    )
    parser.add_argument("--end", required=True, help="the end of the test split, in UTC")
    parser.add_argument("--report", type=Path, help="a JSON file for the figures")
    parser.add_argument("--page", type=Path, help="an HTML file about the view")
    options = parser.parse_args()
    fs = spark_fs.login().get_feature_store()
    view = groups.delay_view(fs)
    x_train, x_test, y_train, y_test = view.train_test_split(
        train_end=options.split,
        test_end=options.end,
        primary_key=True,
        event_time=True,
        description="late arrivals",
    )
    print(
        f"train {len(x_train):,} flights before {options.split}, test {len(x_test):,} after it",
        flush=True,
    )
    weather = groups.weather(fs).select_features().spec.columns
    windows = groups.carrier_delays(fs).read("pandas")
    splits = {
        "point-in-time join": (x_train, x_test),
        "without weather": tuple(x.drop(columns=list(weather)) for x in (x_train, x_test)),
        "leaking join on key and date": tuple(leaking(x, windows) for x in (x_train, x_test)),
    }
    figures = {}
    for name, (train, test) in splits.items():
        figures[name] = auc(train, test, y_train, y_test)
        print(f"AUC {figures[name]:.3f}  {name}", flush=True)
    version = view.get_training_datasets()[-1].version
    if options.report:
        report = {
            "auc": figures,
            "training_dataset_version": version,
            "train": len(x_train),
            "test": len(x_test),
        }
        options.report.write_text(json.dumps(report))
    if options.page:
        view.report(path=options.page)


if __name__ == "__main__":
    main()
