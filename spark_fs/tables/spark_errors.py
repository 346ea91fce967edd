"""What an error of Spark says."""

import re

from py4j.protocol import Py4JJavaError

from spark_fs import errors
from spark_fs.errors import SparkFSError, get_first_line

_RAISED_BY_TASK = re.compile(r"^spark_fs\.errors\.(\w+): (.*)", re.MULTILINE)


def make_read_error(error: Exception) -> SparkFSError:
    """The error for one of Spark while it reads; what a task of ours raised as it was."""
    raised = _RAISED_BY_TASK.findall(str(error))
    if raised:
        name, message = raised[-1]
        kind: type[SparkFSError] = getattr(errors, name)
        return kind(message)
    return SparkFSError(f"The rows could not be read: {find_root_cause(error)}")


def find_root_cause(error: Exception) -> str:
    """The first line of the innermost cause that says something, of Spark, Delta or a worker."""
    if isinstance(error, Py4JJavaError):
        cause = error.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
        return f"{cause.getClass().getSimpleName()}: {get_first_line(cause.getMessage())}"
    text = str(error)
    if "Traceback" in text:  # of a worker
        raised = re.findall(r"^[\w.]+(?:Error|Exception|Invalid): (.*)", text, re.MULTILINE)
        if raised:
            return str(raised[-1])
    return get_first_line(error)
