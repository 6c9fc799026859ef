"""What stands in for the world outside: a program, and a web server."""

import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


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
