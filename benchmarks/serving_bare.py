"""The limit: a bare FastAPI route with one SELECT, by the same driver, a connection to each thread.

It checks nothing, decodes nothing, and knows its one table.
"""

import os
import threading
from typing import Any
from urllib.parse import urlsplit

import mysql.connector
from fastapi import FastAPI
from fastapi.responses import JSONResponse

_URL = urlsplit(os.environ["BENCH_URL"])
_COLUMNS = os.environ["BENCH_COLUMNS"]
_TABLE = os.environ["BENCH_TABLE"]
_local = threading.local()
app = FastAPI()


def get_cursor() -> Any:
    """The cursor of this thread."""
    if not hasattr(_local, "cursor"):
        _local.connection = mysql.connector.connect(
            host=_URL.hostname,
            port=_URL.port,
            user=_URL.username,
            password=_URL.password,
            database=_URL.path.strip("/"),
            autocommit=True,
        )
        _local.cursor = _local.connection.cursor()
    return _local.cursor


@app.post("/vectors")
def read_vectors(body: dict[str, list[int]]) -> JSONResponse:
    """The rows of keys, in the order of the database."""
    keys = body["keys"]
    cursor = get_cursor()
    placeholders = ", ".join(["%s"] * len(keys))
    cursor.execute(f"SELECT {_COLUMNS} FROM {_TABLE} WHERE k IN ({placeholders})", keys)
    return JSONResponse(cursor.fetchall())
