"""Serves a Roundup tracker: a program for the environment that has Roundup. `roundup_server.py HOME PORT`.

Roundup's own server refuses to run as root, which tests in a container are; this is the way of its documentation for
other web servers.
"""

from __future__ import annotations

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

from roundup.cgi.wsgi_handler import RequestDispatcher


class Server(ThreadingMixIn, WSGIServer):
    """One thread for each connection."""

    daemon_threads = True


if __name__ == "__main__":
    home, port = sys.argv[1:]
    make_server("127.0.0.1", int(port), RequestDispatcher(home), server_class=Server).serve_forever()
