"""Airflow: a DAG for each pipeline file.

Put this file into the dags folder; SPARK_FS_PROJECT names the folder of the project.

A pipeline runs whole in one task, since it has its own steps, lock and history; so ``airflow dags
backfill`` is not needed: the next run builds what is missing. The exit codes say what Airflow
should do: 75 is tried again, 3 (another run goes on) is skipped, 1, 2 and 4 fail.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

PROJECT = Path(os.environ.get("SPARK_FS_PROJECT", "/opt/spark_fs"))
SUBMIT = (
    'spark-submit --jars "$(spark-fs jars)" jobs/run_pipeline.py {file} --log-format json; '
    "code=$?; [ $code = 75 ] && exit 1; [ $code = 0 ] || [ $code = 3 ] || exit 100; "
    "[ $code = 3 ] && exit 99; exit 0"
)


def dag_of(file: Path) -> DAG:
    """The DAG of a pipeline file: it runs shortly after each interval of the pipeline ends."""
    pipeline = yaml.safe_load(file.read_text())
    hours = {"m": 1 / 60, "h": 1, "d": 24}
    every = pipeline.get("every", "1d")
    with DAG(
        dag_id=f"spark_fs_{pipeline['name']}",
        schedule=timedelta(hours=int(every[:-1]) * hours[every[-1]]),
        start_date=datetime(2024, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        tags=["spark_fs"],
    ) as dag:
        BashOperator(
            task_id="run",
            bash_command=SUBMIT.format(file=file.relative_to(PROJECT)),
            cwd=str(PROJECT),
            env={
                "SPARK_CONF_DIR": str(PROJECT / "conf" / "local"),
                "PATH": f"{PROJECT}/.venv/bin:/usr/bin:/bin",
            },
            append_env=True,
            skip_on_exit_code=99,
            retries=2,
            retry_delay=timedelta(minutes=5),
        )
    return dag


for found in sorted((PROJECT / "conf" / "pipelines").glob("*.yaml")):
    globals()[found.stem] = dag_of(found)
