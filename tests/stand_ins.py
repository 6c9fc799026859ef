"""What stands in for the world outside: a program, a web server, and a telescope that sees nothing."""

import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd

from course.archive import tables

_COLUMNS = tables.columns("observations")
#: What is measured of a pointing.
FEATURES = [name for name in _COLUMNS[_COLUMNS.index("rate") :] if name != "lum_edd_est"]


def program(path, code):
    """A program in shell, to stand in for another."""
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)
    return path


@contextmanager
def served(folder):
    """Serve a folder: `with served(folder) as (address, asked):`, the list of what was asked for."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()


def nothing(truth, instrument, generator):
    """In place of `course.archive.pointings.observe`: every feature is 100."""
    return pd.DataFrame(100.0, index=truth.index, columns=FEATURES), []
