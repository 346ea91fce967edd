"""The built-in transformations, by name.

Each is attached to a feature, as in ``min_max_scaler("amount")``, in the
``transformation_functions`` of a feature view.
"""

from spark_fs.api.transformations import TransformationFunction
from spark_fs.spec.transformation import FunctionSpec

min_max_scaler = TransformationFunction(FunctionSpec("min_max_scaler"))
standard_scaler = TransformationFunction(FunctionSpec("standard_scaler"))
robust_scaler = TransformationFunction(FunctionSpec("robust_scaler"))
log_transform = TransformationFunction(FunctionSpec("log_transform"))
equal_width_binner = TransformationFunction(FunctionSpec("equal_width_binner"))
equal_frequency_binner = TransformationFunction(FunctionSpec("equal_frequency_binner"))
quantile_binner = TransformationFunction(FunctionSpec("quantile_binner"))
quantile_transformer = TransformationFunction(FunctionSpec("quantile_transformer"))
rank_normalizer = TransformationFunction(FunctionSpec("rank_normalizer"))
winsorize = TransformationFunction(FunctionSpec("winsorize"))
label_encoder = TransformationFunction(FunctionSpec("label_encoder"))
one_hot_encoder = TransformationFunction(FunctionSpec("one_hot_encoder"))
top_k_categorical_binner = TransformationFunction(FunctionSpec("top_k_categorical_binner"))
impute_mean = TransformationFunction(FunctionSpec("impute_mean"))
impute_median = TransformationFunction(FunctionSpec("impute_median"))
impute_constant = TransformationFunction(FunctionSpec("impute_constant"))
impute_mode = TransformationFunction(FunctionSpec("impute_mode"))
impute_category = TransformationFunction(FunctionSpec("impute_category"))

__all__ = [
    "equal_frequency_binner",
    "equal_width_binner",
    "impute_category",
    "impute_constant",
    "impute_mean",
    "impute_median",
    "impute_mode",
    "label_encoder",
    "log_transform",
    "min_max_scaler",
    "one_hot_encoder",
    "quantile_binner",
    "quantile_transformer",
    "rank_normalizer",
    "robust_scaler",
    "standard_scaler",
    "top_k_categorical_binner",
    "winsorize",
]
