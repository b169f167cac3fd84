"""Serve a folder to browsers on this machine only."""

from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    """A request handler that does not list folders and refuses requests for other host names.

    Otherwise, a malicious web page could make its own host name point to this machine (DNS rebinding) and read the
    corpus.
    """

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}  # noqa: RUF012 - as there

    def send_head(self) -> Any:  # noqa: ANN401 - as in the base class
        host = (self.headers.get("Host") or "").partition(":")[0]
        if host not in (LOOPBACK, "localhost"):
            return self.send_error(HTTPStatus.FORBIDDEN)
        return super().send_head()

    def list_directory(self, path: Any) -> None:  # noqa: ANN401 - as in the base class
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - as in the base class
        """Log nothing, so that the terminal shows only the address."""


def create_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server for the folder, bound to the loopback address.

    If the port is 0, the server chooses a free port. Raises OSError if the port cannot be used.
    """
    return ThreadingHTTPServer((LOOPBACK, port), partial(_Handler, directory=str(folder)))
