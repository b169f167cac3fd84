"""Serve a folder to browsers on this machine only."""

import io
import os
import re
import socket
import stat
import sys
import threading
import time
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
MAX_CONNECTIONS = 32  # at the same time; a browser opens six
REQUEST_SECONDS = 10.0  # for a whole request to arrive, and for a part of the answer to be taken
_ALLOWED_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?", re.IGNORECASE)
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _DeadlineReader(io.RawIOBase):
    """Reads from a connection. Raises TimeoutError at the deadline, however slowly the data arrive."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self.connection, self.deadline = connection, time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as in the base class
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(left)
        return self.connection.recv_into(buffer)


class _Handler(SimpleHTTPRequestHandler):
    """A request handler that serves only regular files inside its folder, and refuses requests for other host names.

    Without the second rule, a malicious web page could make its own host name point to this machine (DNS rebinding)
    and read the corpus. The handler does not list folders.
    """

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}  # noqa: RUF012 - as there

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_DeadlineReader(self.connection, REQUEST_SECONDS))

    def send_head(self) -> Any:  # noqa: ANN401 - as in the base class
        self.connection.settimeout(REQUEST_SECONDS)
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or not _ALLOWED_HOST.fullmatch(hosts[0].strip()):
            return self.send_error(HTTPStatus.FORBIDDEN)
        if not self._names_a_file_inside():
            return self.send_error(HTTPStatus.NOT_FOUND)
        return super().send_head()

    def _names_a_file_inside(self) -> bool:
        """Return whether the request names a regular file of the served folder, or a folder in it, links followed."""
        root = os.path.realpath(self.directory)
        try:
            path = os.path.realpath(self.translate_path(self.path), strict=True)
            if os.path.isdir(path) and self.path.partition("?")[0].partition("#")[0].endswith("/"):
                path = os.path.realpath(os.path.join(path, "index.html"), strict=True)
            mode = os.stat(path).st_mode
        except (OSError, ValueError):  # ValueError: a null character, or half a surrogate pair
            return False
        return Path(path).is_relative_to(root) and (stat.S_ISREG(mode) or stat.S_ISDIR(mode))

    def list_directory(self, path: Any) -> None:  # noqa: ANN401 - as in the base class
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - as in the base class
        """Log nothing, so that the terminal shows only the address."""


class _LimitedServer(ThreadingHTTPServer):
    """A server with a limit on the number of connections, each of which has a thread. It refuses further ones."""

    request_queue_size = 128  # connections that wait to be accepted or refused

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in the base class
        self._free_connections = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in the base class
        if not self._free_connections.acquire(blocking=False):
            request.settimeout(1)
            try:
                request.sendall(_BUSY)
            finally:
                self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._free_connections.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in the base class
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free_connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in the base class
        """Print unexpected errors in one line. A browser may close a connection at any time."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"a request failed: {type(error).__name__}: {error}"[:300], file=sys.stderr)


def create_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server for the folder, bound to the loopback address.

    A request must arrive within `REQUEST_SECONDS`. At most `MAX_CONNECTIONS` are served at the same time; further ones
    get the answer 503. If the port is 0, the server chooses a free port. Raises OSError if the port cannot be used.
    """
    return _LimitedServer((LOOPBACK, port), partial(_Handler, directory=str(folder)))
