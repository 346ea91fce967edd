"""Search a feature view's candidates for those that predict its label.

It ends in a feature view of them and its training data.

spark-submit jobs/select_features.py --view candidates --k 30 --name chosen [--baseline amount,age]
[--split 2024-02-01]
"""

import argparse
import html
from collections.abc import Callable

import spark_fs
from spark_fs.errors import NotFoundError


def _told() -> Callable[[str, int, int], None]:
    """Print what begins, once."""
    begun: list[str] = []

    def told(what: str, _: int, known: int) -> None:
        if what not in begun:
            begun.append(what)
            print(f"{what}, {known} tasks or more", flush=True)

    return told


def main() -> None:
    """Search, print the ranking and the steps, save the view, and write its training data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--view", required=True, help="the feature view whose features are the candidates"
    )
    parser.add_argument("--version", type=int)
    parser.add_argument("--label", help="without it, the view's only label")
    parser.add_argument("--k", type=int, default=20, help="how many features at most")
    parser.add_argument("--method", choices=("mrmr", "k_best", "importance"), default="mrmr")
    parser.add_argument(
        "--baseline",
        default="",
        help="what a model has today, with commas between; models are measured then",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", required=True, help="the feature view to save")
    parser.add_argument(
        "--split",
        help=(
            "the end of the train split and the start of the test split (UTC); without it, one"
            " dataset"
        ),
    )
    parser.add_argument("--report", help="write the ranking and its figure to this HTML file")
    options = parser.parse_args()
    fs = spark_fs.login().get_feature_store()
    baseline = [name for name in options.baseline.split(",") if name]
    found = spark_fs.select_features(
        fs.get_feature_view(options.view, options.version),
        options.label,
        options.k,
        options.method,
        baseline=baseline,
        seed=options.seed,
        progress=_told(),
    )
    print(found)
    chosen = found.scores[found.scores["rank"].notna()]
    print(chosen[["rank", "feature", "value", "reason"]].to_string(index=False))
    if len(found.steps):
        print(found.steps.to_string(index=False))
    for name, why in found.warnings.items():
        print(f"left out: {name}: {why}")
    if options.report:
        table = found.scores.drop(columns="value").to_html(
            index=False, float_format="{:.4g}".format, escape=True
        )
        with open(options.report, "w", encoding="utf-8") as file:
            file.write(
                f"<!doctype html><meta charset='utf-8'><title>{html.escape(str(found))}</title>"
            )
            file.write(found.plot().to_html(full_html=False, include_plotlyjs=True) + table)
    if not found.features:
        raise NotFoundError(
            f"No candidate of feature view {options.view!r} was chosen: the ranking above has the"
            " reasons."
        )
    view = found.to_feature_view(
        options.name, description=f"Chosen by {options.method} from {options.view}"
    )
    if options.split:
        version, job = view.create_train_test_split(
            train_end=options.split, test_start=options.split
        )
    else:
        version, job = view.create_training_data()
    print(
        f"feature view {view.name}, version {view.version}: {len(view.schema)} features; training"
        f" dataset {version}: {job}"
    )


if __name__ == "__main__":
    main()
