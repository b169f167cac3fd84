"""A real server on a real socket, and all kinds of requests: a file of the site or an error, and no endless wait."""

import os
import re
import socket
import threading
import time

import pytest

from rayner.site import serve
from rayner.site.serve import create_server

SECRET = b"a file outside the site"


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "site"
    (site / "sub").mkdir(parents=True)
    (site / "index.html").write_bytes(b"the index")
    (site / "page.html").write_bytes(b"a page")
    (site / "sub" / "index.html").write_bytes(b"a folder's index")
    (site / "empty").mkdir()
    (site / "楚.html").write_bytes(b"a name")
    (tmp_path / "secret.html").write_bytes(SECRET)
    (tmp_path / "site-2").mkdir()
    (tmp_path / "site-2" / "index.html").write_bytes(SECRET)
    return site


@pytest.fixture
def server(site):
    httpd = create_server(site, 0)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def connect(server):
    """Open a connection to the server."""
    opened = []

    def open_connection():
        connection = socket.create_connection(("127.0.0.1", server.server_port), timeout=30)
        opened.append(connection)
        return connection

    yield open_connection
    for connection in opened:
        connection.close()


@pytest.fixture
def ask(connect, capfd):
    """Send raw bytes, and return the status and the whole answer. Nothing may be printed: no traceback."""

    def send(data):
        connection = connect()
        answer = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        except OSError:  # the server may close while more arrives
            pass
        # A request line that is broken counts as HTTP/0.9, in which an answer has no status line.
        match = re.match(rb"HTTP/1\.0 (\d{3}) ", answer) or re.search(rb"<p>Error code: (\d{3})</p>", answer)
        said = capfd.readouterr()
        assert said.out + said.err == ""
        assert SECRET not in answer
        return int(match[1]) if match else None, answer

    return send


def get(path, headers="Host: 127.0.0.1\r\n", method="GET", version=" HTTP/1.1"):
    line = path if isinstance(path, bytes) else path.encode()
    return method.encode() + b" " + line + f"{version}\r\n{headers}\r\n".encode("latin-1")


@pytest.mark.parametrize(
    ("path", "content"),
    [("/", b"the index"), ("/page.html", b"a page"), ("/sub/", b"a folder's index"), ("/page.html?a=%00", b"a page"),
     ("/page.html#x/", b"a page"), ("//page.html", b"a page"), ("/./sub/../page.html", b"a page"),
     ("/?a/b", b"the index"),
     ("/%E6%A5%9A.html", b"a name"), ("/%70age.html", b"a page"), ("/..%2f..%2fpage.html", b"a page")],
)  # fmt: skip
def test_files_of_the_site_are_served(ask, path, content):
    status, answer = ask(get(path))
    assert status == 200
    assert answer.endswith(b"\r\n\r\n" + content)
    assert b"X-Content-Type-Options: nosniff" in answer


@pytest.mark.parametrize(
    "path",
    ["/%00", "/page.html%00", "/%00/page.html", "/sub/%00", "/%ed%a0%80", "/%ed%b3%bf.html", "/%ff%fe",
     "/../secret.html",
     "/..%2fsecret.html", "/%2e%2e/secret.html", "/%2e%2e%2fsecret.html", "/..%5csecret.html", "/sub/../../secret.html",
     "/....//secret.html", "//../secret.html", "/%252e%252e/secret.html", "/..;/secret.html", "/../site-2/",
     "/..%2fsite-2/",
     "/page.html/", "/page.html/x", "/none", "/empty/", "/~root/", "/etc/passwd", "//etc/passwd", "/%2fetc%2fpasswd",
     "file:///etc/passwd", "http://evil.example/page.html", "/" + "a" * 300, "/" + "a/" * 9000, "/" + "%61" * 9000,
     "*", "\\"],
    ids=lambda path: path[:20],
)  # fmt: skip
def test_other_paths_are_not_found(ask, path):
    assert ask(get(path))[0] == 404


def test_a_folder_without_slash_is_redirected_on_this_server_only(ask):
    for path in ("/sub", "//sub", "//evil.example/../sub"):
        status, answer = ask(get(path))
        assert status == 301
        assert re.search(rb"\r\nLocation: /[^/]", answer)


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda site: (site / "a.html").symlink_to("../secret.html"), "/a.html"),
        (lambda site: (site / "a.html").symlink_to(site.parent / "secret.html"), "/a.html"),
        (lambda site: (site / "out").symlink_to(".."), "/out/secret.html"),
        (lambda site: (site / "out").symlink_to("../site-2"), "/out/"),
        (lambda site: (site / "out").symlink_to("/"), "/out/etc/passwd"),
        (lambda site: (site / "empty" / "index.html").symlink_to("../../secret.html"), "/empty/"),
        (lambda site: (site / "empty" / "index.htm").symlink_to("../../secret.html"), "/empty/"),
        (
            lambda site: (site / "a.html").symlink_to("b.html") or (site / "b.html").symlink_to("../secret.html"),
            "/a.html",
        ),
        (lambda site: (site / "a.html").symlink_to("a.html"), "/a.html"),
        (lambda site: (site / "a.html").symlink_to("none.html"), "/a.html"),
        (lambda site: os.mkfifo(site / "a.html"), "/a.html"),
        (lambda site: os.mkfifo(site / "empty" / "index.html"), "/empty/"),
        (lambda site: (site / "a.html").symlink_to("/dev/zero"), "/a.html"),
    ],
    ids=range(13),
)
def test_links_that_leave_the_site_and_special_files_are_not_served(site, ask, make, path):
    make(site)
    assert ask(get(path))[0] == 404


def test_links_inside_the_site_are_served(site, ask):
    (site / "a.html").symlink_to("page.html")
    assert ask(get("/a.html"))[0] == 200


def test_a_site_that_is_reached_by_a_link_is_served(site, tmp_path):
    (tmp_path / "door").symlink_to(site)
    httpd = create_server(tmp_path / "door", 0)
    threading.Thread(target=httpd.handle_request, daemon=True).start()
    with socket.create_connection(("127.0.0.1", httpd.server_port), timeout=30) as connection:
        connection.sendall(get("/page.html"))
        assert connection.makefile("rb").read().endswith(b"a page")
    httpd.server_close()


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "127.0.0.1", "localhost:8300", "127.0.0.1:1", " localhost "]
)
def test_hosts_of_this_machine(ask, host):
    assert ask(get("/", f"Host: {host}\r\n"))[0] == 200


@pytest.mark.parametrize(
    "headers",
    ["", "Host:\r\n", "Host: evil.example\r\n", "Host: localhost.evil.example\r\n", "Host: evil.example:127.0.0.1\r\n",
     "Host: localhost:evil\r\n", "Host: 127.0.0.1@evil.example\r\n", "Host: evil.example\r\nHost: localhost\r\n",
     "Host: localhost\r\nHost: evil.example\r\n", "Host: localhost, evil.example\r\n", "Host: [::1]\r\n",
     "Host: 0.0.0.0\r\n",
     "Host: 127.1\r\n", "Host: 2130706433\r\n", "Host: localhost.\r\n", "Host: localhost:123456\r\n",
     "X: localhost\r\n",
     "Host: local\x00host\r\n", "Host: localhost/\r\n", "X-Forwarded-Host: localhost\r\nHost: evil.example\r\n"],
)  # fmt: skip
def test_other_hosts_are_refused(ask, headers):
    assert ask(get("/", headers))[0] == 403


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "G\0T", "<b>"]
)
def test_other_methods_are_refused(ask, method):
    status, answer = ask(get("/", "Host: localhost\r\nContent-Length: 3\r\n", method) + b"abc")
    assert status in (400, 501)
    assert b"<b>" not in answer.partition(b"\r\n\r\n")[2]


def test_head_has_no_content(ask):
    status, answer = ask(get("/page.html", method="HEAD"))
    assert status == 200
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", None),
        (b"\r\n\r\n", None),
        (b"\0\0\0\0", 400),
        (b"\xff\xfe\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/1.1 x\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 505),
        (b"GET / HTTP/x\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\nHost: localhost\n\n", 200),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nIf-Modified-Since: \xff\xff\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", 200),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # a browser that expects TLS
    ],
    ids=range(16),
)
def test_odd_requests_get_an_error_or_an_answer(ask, data, expected):
    assert ask(data)[0] == expected


def test_http_0_9_gets_no_file(ask):
    assert b"the index" not in ask(b"GET /\r\n\r\n")[1]


def test_of_requests_in_a_row_the_first_is_answered(ask):
    status, answer = ask(get("/page.html") + get("/") + get("/sub/"))
    assert status == 200
    assert answer.count(b"HTTP/1.0 ") == 1


# ---- time and connections


def test_a_connection_that_says_nothing_ends_in_time(monkeypatch, connect):
    monkeypatch.setattr(serve, "REQUEST_SECONDS", 0.5)
    connection, start = connect(), time.monotonic()
    assert connection.recv(1) == b""
    assert time.monotonic() - start < 10


def test_a_request_that_arrives_byte_by_byte_ends_in_time(monkeypatch, connect):
    monkeypatch.setattr(serve, "REQUEST_SECONDS", 1.0)
    connection, start = connect(), time.monotonic()
    connection.settimeout(0.1)
    for byte in b"GET / HTTP/1.1\r\nX: " + b"a" * 1000:
        try:
            connection.sendall(bytes([byte]))
            if connection.recv(1) == b"":
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    else:
        pytest.fail("the server still waits")
    assert time.monotonic() - start < 20


def test_a_reader_that_takes_nothing_ends_in_time(monkeypatch, connect, site, server):
    monkeypatch.setattr(serve, "REQUEST_SECONDS", 0.5)
    (site / "large.html").write_bytes(b"x" * 50_000_000)
    before = threading.active_count()
    connection = connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(get("/large.html"))
    time.sleep(0.2)
    deadline = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before


def test_half_open_connections_cost_a_bounded_number_of_threads(monkeypatch, connect, ask):
    monkeypatch.setattr(serve, "REQUEST_SECONDS", 5.0)
    before = threading.active_count()
    silent = [connect() for _ in range(100)]
    time.sleep(0.2)
    assert threading.active_count() - before <= serve.MAX_CONNECTIONS
    refused = connect()
    refused.sendall(get("/"))
    assert refused.recv(4096).startswith(b"HTTP/1.0 503 ")
    deadline = time.monotonic() + 30
    while ask(get("/"))[0] != 200:  # served again when the silent ones have ended
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert len(silent) == 100


def test_many_browsers_are_served_at_the_same_time(connect):
    connections = [connect() for _ in range(20)]
    for connection in connections:
        connection.sendall(get("/page.html"))
    for connection in connections:
        assert connection.makefile("rb").read().endswith(b"a page")


def test_a_browser_that_goes_away_is_no_error(connect, site, capfd):
    (site / "large.html").write_bytes(b"x" * 20_000_000)
    for _ in range(5):
        connection = connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closes by a reset
        connection.sendall(get("/large.html"))
        connection.recv(10)
        connection.close()
    time.sleep(0.5)
    said = capfd.readouterr()
    assert said.out + said.err == ""
