"""Training data of the toy, as files: a job for spark-submit."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import spark_fs

from toy import groups

if __name__ == "__main__":
    made = groups.view(spark_fs.login().get_feature_store())
    print(made.create_train_test_split(train_end="2024-01-04", test_end="2024-01-06"))
