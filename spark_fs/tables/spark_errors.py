"""What an error of Spark says."""

import re

from py4j.protocol import Py4JJavaError

from spark_fs.errors import get_first_line


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
