"""Train a model of fraud on earlier transactions, judge it on later ones, and register it.

spark-submit jobs/credit_card_fraud/train.py --view windows --split 2024-02-15 --end 2024-03-01
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import pandas as pd

mpl.use("agg")
import matplotlib.pyplot as plt
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    average_precision_score,
    roc_auc_score,
)
from xgboost import XGBClassifier

sys.path.insert(0, str(Path(__file__).parents[1]))
import spark_fs  # spark-submit puts this file's folder on the path, not jobs/
from credit_card_fraud import groups

PARAMETERS = {
    "n_estimators": 200,
    "max_depth": 5,
    "learning_rate": 0.1,
    "subsample": 0.8,
    "tree_method": "hist",
    "random_state": 0,
}


def pictures(folder: Path, truth: pd.Series, scores: pd.Series, threshold: float) -> None:
    """A confusion matrix at a threshold and the precision-recall curve, beside the model."""
    labels = ["genuine", "fraud"]
    for name, display in (
        (
            "confusion_matrix",
            ConfusionMatrixDisplay.from_predictions(
                truth,
                scores >= threshold,
                display_labels=labels,
                values_format=",d",
                cmap="Blues",
                colorbar=False,
            ),
        ),
        (
            "precision_recall",
            PrecisionRecallDisplay.from_predictions(truth, scores, plot_chance_level=True),
        ),
    ):
        display.ax_.set_title(f"{name.replace('_', ' ').capitalize()}, later transactions")
        display.figure_.savefig(folder / f"{name}.png", dpi=120, bbox_inches="tight")
        plt.close(display.figure_)


def main() -> None:
    """Split by time, train, judge, save."""
    parser = argparse.ArgumentParser(description="Train a model of fraud.")
    parser.add_argument(
        "--view",
        choices=["windows", "plain"],
        default="windows",
        help="with the window features or without",
    )
    parser.add_argument(
        "--split",
        required=True,
        help="the end of the train split and the start of the test split, in UTC",
    )
    parser.add_argument("--end", required=True, help="the end of the test split, in UTC")
    parser.add_argument("--report", type=Path, help="a JSON file, to which the figures are added")
    options = parser.parse_args()
    project = spark_fs.login()
    fs, registry = project.get_feature_store(), project.get_model_registry()
    view = groups.fraud_view(fs, options.view == "windows")
    x_train, x_test, y_train, y_test = view.train_test_split(
        train_end=options.split, test_end=options.end
    )
    dataset = view.get_training_datasets()[-1].version
    with registry.track(view.name, PARAMETERS) as run, tempfile.TemporaryDirectory() as folder:
        model = XGBClassifier(**PARAMETERS).fit(x_train.astype(float), y_train["is_fraud"])
        scores = pd.Series(model.predict_proba(x_test.astype(float))[:, 1])
        truth = y_test["is_fraud"]
        metrics = {
            "auc": roc_auc_score(truth, scores),
            "average_precision": average_precision_score(truth, scores),
        }
        threshold = float(
            scores.sort_values(ascending=False).iloc[int(truth.sum())]
        )  # as many alarms as there are frauds
        model.save_model(Path(folder) / "model.json")
        (Path(folder) / "threshold.json").write_text(json.dumps({"threshold": threshold}))
        pictures(Path(folder), truth, scores, threshold)
        run.log_metrics({"train_rows": len(x_train), "test_rows": len(x_test)})
        saved = registry.xgboost.create_model(
            view.name,
            metrics=metrics,
            model_schema=spark_fs.ModelSchema(spark_fs.Schema(x_train), spark_fs.Schema(y_train)),
            input_example=x_train,
            description=view.description,
            feature_view=view,
            training_dataset_version=dataset,
        ).save(folder)
    print(
        f"{saved.name} {saved.version}: AUC {metrics['auc']:.3f}, average precision"
        f" {metrics['average_precision']:.3f}, {len(x_train.columns)} features, {len(x_train):,} to"
        f" train, {len(x_test):,} later ones to test ({int(truth.sum()):,} fraud)",
        flush=True,
    )
    if options.report:
        known = json.loads(options.report.read_text()) if options.report.exists() else {}
        options.report.write_text(
            json.dumps(
                known | {saved.name: {**metrics, "train": len(x_train), "test": len(x_test)}}
            )
        )


if __name__ == "__main__":
    main()
