"""A server with the paths of the model hub, as far as clients need them to download a model."""

import hashlib
import http.server
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "fedcba9876543210fedcba9876543210fedcba98"
TOKEN = "hf_" + "a" * 34


@dataclass
class Repository:
    """A repository. Files larger than `large` are kept like those of Git LFS: elsewhere, with a SHA-256."""

    folder: Path
    commit: str = COMMIT
    large: int = 5000
    is_gated: bool = False
    has_digests: bool = True


@dataclass
class Request:
    """A request that the server answered. `range` is its header."""

    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class Hub:
    """The server. Tests change what it does.

    cut: file names, each with the numbers of bytes after which the next answers break off.
    spoiled: file names whose last byte arrives changed.
    """

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    cut: dict[str, list[int]] = field(default_factory=dict)
    stall: threading.Event | None = None
    spoiled: set[str] = field(default_factory=set)

    def of(self, name: str) -> list[Request]:
        """Return the requests for the content of a file."""
        return [r for r in self.requests if r.method == "GET" and r.path.startswith("/cdn/") and r.path.endswith(name)]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does: an API, `resolve` with its headers, and redirects to another path for large files."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        path = self.path.partition("?")[0]
        told = self.headers
        self.hub.requests.append(Request(self.command, path, told.get("Range"), told.get("Authorization")))
        if path.startswith("/api/models/"):
            return self.answer_api(path.removeprefix("/api/models/"))
        if path.startswith("/cdn/"):
            owner, name, file = path.removeprefix("/cdn/").split("/")
            return self.send_file(self.hub.repositories[f"{owner}/{name}"], file)
        owner, name, _, revision, file = path.strip("/").split("/")
        repository = self.hub.repositories.get(f"{owner}/{name}")
        if self.refuse(repository, revision):
            return None
        content = repository.folder / file
        if not content.is_file():
            return self.say(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.commit})
        if content.stat().st_size <= repository.large:
            return self.send_file(repository, file)
        digest = hashlib.sha256(content.read_bytes()).hexdigest()
        headers = {"Location": f"{self.hub.url}/cdn/{owner}/{name}/{file}", "X-Linked-ETag": f'"{digest}"',
                   "X-Linked-Size": str(content.stat().st_size), "X-Repo-Commit": repository.commit}  # fmt: skip
        return self.say(302, headers)

    def refuse(self, repository, revision):
        """Answer with an error, as the hub does, if the user may not read or there is nothing."""
        authorization = self.headers.get("Authorization")
        if repository is None:
            self.say(404 if authorization else 401, {"X-Error-Code": "RepoNotFound"})
        elif repository.is_gated and authorization != f"Bearer {TOKEN}":
            self.say(403 if authorization else 401, {"X-Error-Code": "GatedRepo"})
        elif revision not in ("main", repository.commit):
            self.say(404, {"X-Error-Code": "RevisionNotFound"})
        else:
            return False
        return True

    def answer_api(self, rest):
        name, _, revision = rest.partition("/revision/")
        repository = self.hub.repositories.get(name)
        if self.refuse(repository, revision or "main"):
            return
        siblings = []
        for path in sorted(repository.folder.rglob("*")):
            if path.is_file():
                siblings.append(self.describe(repository, path))
        content = {"id": name, "modelId": name, "sha": repository.commit, "siblings": siblings}
        self.say(200, {"Content-Type": "application/json"}, json.dumps(content).encode())

    def describe(self, repository, path):
        content = path.read_bytes()
        told = {"rfilename": path.relative_to(repository.folder).as_posix()}
        if repository.has_digests:
            told |= {"size": len(content), "blobId": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()}
            if len(content) > repository.large:
                told["lfs"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "pointerSize": 1}
        return told

    def send_file(self, repository, file):
        content = (repository.folder / file).read_bytes()
        if file in self.hub.spoiled:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if self.headers.get("Range") else 0
        headers = {"Content-Length": str(len(content) - start), "ETag": f'"{hashlib.sha1(content).hexdigest()}"',
                   "X-Repo-Commit": repository.commit}  # fmt: skip
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body, cuts = content[start:], self.hub.cut.get(file, [])
        if self.command == "GET" and cuts:
            self.say(206 if start else 200, headers, body[: cuts.pop(0)])
            if self.hub.stall:
                self.wfile.flush()
                self.hub.stall.wait(60)
            self.close_connection = True
            return
        self.say(206 if start else 200, headers, body)

    def say(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def start_hub() -> tuple[Hub, http.server.ThreadingHTTPServer]:
    """Start the server in a thread."""
    hub = Hub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("HubHandler", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return hub, server
