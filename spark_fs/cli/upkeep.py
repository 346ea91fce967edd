"""The commands that keep an installation going: its metadata database, and Spark's jars."""

from __future__ import annotations

from typing import Annotated

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


@app.command()
def archive_classes(
    again: Annotated[bool, typer.Option("--again", help="Make it anew.")] = False,
) -> None:
    """Make Spark start faster.

    The classes of its JVM are kept in an archive, and its options printed. It takes half a minute
    and 180 MB in the user's cache folder, once for each Java and pyspark. Processes that start
    Spark by spark_fs use it from then on; spark-submit does where SPARK_SUBMIT_OPTS holds the
    options. Example: export SPARK_SUBMIT_OPTS="$(spark-fs archive-classes)"
    """
    from spark_fs.tables.delta.class_archive import list_archive_options, make_archive
    from spark_fs.tables.delta.java import find_java

    java = find_java()
    if again or not list_archive_options(java):
        archive = make_archive(java, ["-m", "spark_fs.cli.archived_work"])
        size = archive.stat().st_size / 1_000_000
        typer.echo(f"Made {archive} ({size:.0f} MB).", err=True)
    typer.echo(" ".join(list_archive_options(java)))
