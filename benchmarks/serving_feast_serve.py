"""``feast`` with a connection to each thread of its MySQL online store.

Feast 0.67 keeps one connection of PyMySQL for all threads of its server; the first two requests at
once break it, and from then on each request fails. So that it can be measured with more than one
user, each thread has its own here.
"""

import os
import threading
from typing import Any

from feast.cli.cli import cli
from feast.infra.online_stores.mysql_online_store.mysql import MySQLOnlineStore

_local = threading.local()
_connect = MySQLOnlineStore._get_conn


def get_connection(store: MySQLOnlineStore, config: Any) -> Any:
    """The connection of this thread."""
    if getattr(_local, "process", None) != os.getpid():
        store._conn = None
        _local.connection = _connect(store, config)
        _local.process = os.getpid()
    return _local.connection


if __name__ == "__main__":
    if "FEAST_AS_IT_IS" not in os.environ:
        MySQLOnlineStore._get_conn = get_connection
    cli()
