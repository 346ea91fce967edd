"""Predict for the transactions of the last 24 hours, and keep the predictions in a feature group.

spark-submit jobs/credit_card_fraud/predict.py --until 2024-03-01T12:00:00
"""

import argparse
import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import spark_fs  # spark-submit puts this file's folder on the path, not jobs/
from credit_card_fraud import groups
from credit_card_fraud.scorer import Scorer
from spark_fs import to_utc


def main() -> None:
    """Score a day of transactions with the newest model of a name."""
    parser = argparse.ArgumentParser(description="Predict fraud for the last 24 hours.")
    parser.add_argument("--model", default="cc_fraud")
    parser.add_argument(
        "--until", required=True, help="the end of the 24 hours, in UTC, not in them"
    )
    options = parser.parse_args()
    project = spark_fs.login()
    fs, until = project.get_feature_store(), to_utc(options.until)
    registry = project.get_model_registry()
    versions = registry.get_models(options.model) or [registry.get_model(options.model)]
    saved = versions[-1]
    scorer = Scorer(saved)
    view = saved.get_feature_view()  # ready for batches, by the training dataset of the model
    batch = view.get_batch_data(
        until - timedelta(hours=24), until, primary_key=True, event_time=True
    )
    scores = scorer.probabilities(batch.drop(columns=["cc_num", "datetime"]).astype(float))
    alarm = scores >= scorer.threshold
    found = batch[["cc_num", "datetime"]].assign(
        probability=scores, alarm=alarm, model=saved.name, model_version=saved.version
    )
    print(groups.predictions(fs).insert(found)[0], flush=True)
    print(
        f"{len(found):,} transactions from {until - timedelta(hours=24):%Y-%m-%d %H:%M} on,"
        f" {int(alarm.sum())} alarms"
    )


if __name__ == "__main__":
    main()
