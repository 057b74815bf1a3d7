"""The protocol of the peers in Python: a line of versions, then an answer to each line of input."""

import importlib.metadata
import importlib.util
import json
import sys


def print_line(value):
    print(json.dumps(value), flush=True)


def run_peer(packages, prepare):
    """Says which packages are missing, or their versions, and then answers each line of standard input.

    `prepare` gives the function that makes an answer.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        return print_line({"missing": missing})
    answer = prepare()
    print_line({"versions": {name: importlib.metadata.version(name) for name in packages}})
    for _ in sys.stdin:
        print_line(answer())
