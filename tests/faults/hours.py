"""Run the toy's pipeline up to each instant that comes on stdin; says how it went and what memory is held, in kB."""

import os
import resource
import sys
from pathlib import Path

import spark_fs
from spark_fs.pipelines import load, run


def main(file: str) -> None:
    """One line out for each line in."""
    fs, pipeline = spark_fs.login().get_feature_store(), load(file)
    spark = fs._stores.spark
    jvm: int = spark._jvm.java.lang.ProcessHandle.current().pid()  # type: ignore[union-attr] # it is there
    print("ready", flush=True)
    for until in map(str.strip, sys.stdin):
        os.environ["TOY_ARRIVED"] = until
        done = run(fs, pipeline, until)
        held = next(
            line
            for line in Path(f"/proc/{jvm}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )
        print(
            done.state,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            held.split()[1],
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1])
