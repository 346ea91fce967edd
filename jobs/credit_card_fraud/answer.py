"""Answer for one transaction, as the process of a payment would.

No Spark session, one vector, one number.

python jobs/credit_card_fraud/answer.py --card 4000000000000000 --at 2024-03-01T12:00 --amount 99.5
--category misc_net --lat 26 --long -80
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import spark_fs
from credit_card_fraud import features
from credit_card_fraud.scorer import Scorer
from spark_fs import to_utc


class Answering:
    """A model and its feature view, loaded once."""

    def __init__(self, name: str) -> None:
        registry = spark_fs.login().get_model_registry()
        versions = registry.get_models(name) or [registry.get_model(name)]
        saved = versions[-1]
        self.scorer = Scorer(saved)
        self.view = saved.get_feature_view(init=False)
        self.view.init_serving(saved.training_dataset_version)

    def vector(self, card: int, transaction: dict[str, Any]) -> list[Any]:
        """The features of a transaction that is just made.

        Those of its card come from the online store, its own are computed now.
        """
        entry = {"cc_num": card}
        now = transaction["datetime"]  # what is known when it is made
        known = self.view.get_inference_helper(
            entry, return_type="dict", allow_missing=True, now=now
        )
        own = features.of_one(transaction, known)
        passed = {
            name: value for name, value in own.items() if name in {*self.view.schema, "unix_time"}
        }
        vector: list[Any] = self.view.get_feature_vector(
            entry, passed_features=passed, allow_missing=True, now=now
        )
        return vector

    def probability(self, card: int, transaction: dict[str, Any]) -> float:
        """How likely the transaction is fraud."""
        vector = np.array(
            [
                [
                    np.nan if value is None else float(value)
                    for value in self.vector(card, transaction)
                ]
            ]
        )
        return float(self.scorer.probabilities(vector)[0])


def main() -> None:
    """Answer for the transaction of the command line."""
    parser = argparse.ArgumentParser(description="Answer whether one transaction is fraud.")
    parser.add_argument("--model", default="cc_fraud")
    parser.add_argument("--card", type=int, required=True)
    parser.add_argument("--at", type=to_utc, required=True, help="its instant, in UTC")
    parser.add_argument("--amount", type=float, required=True)
    parser.add_argument("--category", required=True)
    parser.add_argument("--lat", type=float, required=True)
    parser.add_argument("--long", type=float, required=True)
    options = parser.parse_args()
    answering = Answering(options.model)
    transaction = {
        "datetime": options.at,
        "amt": options.amount,
        "category": options.category,
        "merch_lat": options.lat,
        "merch_long": options.long,
    }
    answering.probability(options.card, transaction)  # the first one opens the connection
    began = time.perf_counter()
    probability = answering.probability(options.card, transaction)
    spent = (time.perf_counter() - began) * 1000
    answer = {
        "probability": round(probability, 4),
        "alarm": probability >= answering.scorer.threshold,
        "milliseconds": round(spent, 2),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
