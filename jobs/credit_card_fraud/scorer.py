"""A model of fraud from the registry, with the threshold above which it raises an alarm."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from xgboost import XGBClassifier

from spark_fs import Model


class Scorer:
    """The files of one model version, loaded once."""

    def __init__(self, saved: Model) -> None:
        folder = Path(saved.download())
        self._model = XGBClassifier()
        self._model.load_model(folder / "model.json")
        self.threshold: float = json.loads((folder / "threshold.json").read_text())["threshold"]

    def probabilities(self, features: Any) -> npt.NDArray[np.float64]:
        """How likely each row of training columns, as floats, is fraud."""
        found: npt.NDArray[np.float64] = self._model.predict_proba(features)[:, 1].astype(
            np.float64
        )
        return found
