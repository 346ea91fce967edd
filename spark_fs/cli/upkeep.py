"""The commands that keep an installation going: its metadata database, and Spark's jars."""

from __future__ import annotations

import typer

from spark_fs.api.project import login
from spark_fs.cli.shared import ConfigOption, app, console


@app.command()
def migrate(config: ConfigOption = None) -> None:
    """Upgrade the metadata database.

    It is brought up to this release. One on a server is changed by this command alone, since
    processes of earlier releases cannot open it afterwards; one in SQLite is brought up when it is
    opened. A backup before it is the way back. Example: spark-fs migrate --config
    conf/settings.yaml
    """
    from spark_fs.catalog.database import upgrade_database

    where, before, after = upgrade_database(
        login(config)._stores.settings.catalog_url.get_secret_value()
    )
    became = (
        f"is of version {after} already"
        if before == after
        else f"was of version {before or 'none'}, and is of {after} now"
    )
    console.print(f"The metadata database at {where} {became}.", soft_wrap=True, markup=False)


@app.command()
def jars() -> None:
    """Print the jars for spark-submit --jars.

    The first time they are resolved from Maven Central into a cache. Example: spark-submit --jars
    "$(spark-fs jars)" job.py
    """
    from spark_fs.tables.delta.jars import resolve_jars

    typer.echo(",".join(map(str, resolve_jars())))
