"""``python -m spark_fs.cli``."""

from spark_fs.cli import main

main()
