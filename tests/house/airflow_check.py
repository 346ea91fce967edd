"""Let a real Airflow load conf/schedule/airflow_dags.py: run by its own Python, from ``make airflow-check``."""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Load the DAGs, and look at what they would do."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {
            "AIRFLOW_HOME": home,
            "SPARK_FS_PROJECT": str(ROOT),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        import airflow  # noqa: PLC0415 # it reads its home when it is loaded
        from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415 # as above

        bag = DagBag(dag_folder=str(ROOT / "conf" / "schedule"))
        if bag.import_errors:
            sys.exit(f"Airflow cannot load the DAGs: {bag.import_errors}")
        wanted = {f"spark_fs_{file.stem}" for file in (ROOT / "conf" / "pipelines").glob("*.yaml")}
        if set(bag.dags) != wanted:
            sys.exit(f"Airflow found {sorted(bag.dags)}, and the pipelines are {sorted(wanted)}.")
        for name, dag in sorted(bag.dags.items()):
            (task,) = dag.tasks
            print(f"{name}: {task.bash_command}")
        print(f"Airflow {airflow.__version__} loaded {len(bag.dags)} DAGs without an error")


if __name__ == "__main__":
    main()
