"""A Hub of our own on the loopback interface, for check_hub.py: as much of the API as downloading a model needs.

Two servers, as in life: the hub on 127.0.0.1 knows repositories and commits; files of a kind that Git LFS keeps are
redirected to the other, on localhost, which knows contents only. Every request is kept in `requests`.
"""

import hashlib
import http.server
import json
import re
import threading
import urllib.parse

LFS_SUFFIXES = (".safetensors", ".bin", ".h5", ".msgpack")


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Repo:
    """One commit of one repository."""

    def __init__(self, files: dict[str, bytes], refs=("main",), gated=False, private=False):
        self.files, self.refs, self.gated, self.private = files, set(refs), gated, private
        listing = "\n".join(f"{name} {git_sha1(content)}" for name, content in sorted(files.items()))
        self.commit = hashlib.sha1(listing.encode()).hexdigest()

    def is_lfs(self, name: str) -> bool:
        return name.endswith(LFS_SUFFIXES)

    def etag(self, name: str) -> str:
        content = self.files[name]
        return hashlib.sha256(content).hexdigest() if self.is_lfs(name) else git_sha1(content)

    def sibling(self, name: str) -> dict:
        content = self.files[name]
        entry = {"rfilename": name, "size": len(content), "blobId": git_sha1(content)}
        if self.is_lfs(name):
            entry["lfs"] = {"sha256": self.etag(name), "size": len(content), "pointerSize": 134}
        return entry


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: "FakeHub"
    is_cdn: bool

    def log_message(self, *_):
        pass

    def reply(self, status: int, body: bytes = b"", headers: dict | None = None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(body)

    def send_body(self, body: bytes):
        cut = self.hub.cut_after if self.is_cdn else None
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None and cut < len(body):
            self.close_connection = True

    def error(self, status: int, code: str, message: str, **headers):
        body = json.dumps({"error": message}).encode()
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        self.reply(status, body, {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "application/json", **extra})

    def content(self, content: bytes, headers: dict):
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        condition = self.headers.get("If-Range")
        if not match or (condition and condition != headers["ETag"]):
            return self.reply(200, content, headers)
        first = int(match[1])
        if first >= len(content):
            return self.reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        span = f"bytes {first}-{len(content) - 1}/{len(content)}"
        return self.reply(206, content[first:], {"Content-Range": span, **headers})

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        with self.hub.lock:
            self.hub.requests.append((self.command, "cdn" if self.is_cdn else "hub", path, dict(self.headers)))
        if self.is_cdn:
            return self.serve_cdn(path)
        api = re.fullmatch(r"/api/models/(.+?)(?:/revision/(.+))?", path)
        resolve = re.fullmatch(r"/(.+?)/resolve/([^/]+(?:/pr/\d+)?)/(.+)", path)
        if not (api or resolve):
            return self.error(404, "", "Not found")
        repo_id, revision = (api or resolve)[1], (api or resolve)[2] or "main"
        repo = self.hub.repos.get(repo_id)
        known = self.headers.get("Authorization") == f"Bearer {self.hub.token}"
        if repo is None or (repo.private and not known):
            return self.error(404 if known else 401, "RepoNotFound" if known else "", "Repository not found")
        if resolve and repo.gated and not known:
            return self.error(401, "GatedRepo", f"Access to model {repo_id} is restricted.")
        if revision != repo.commit and revision not in repo.refs:
            return self.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if api:
            return self.serve_info(repo_id, repo, "blobs" in urllib.parse.parse_qs(url.query))
        return self.serve_file(repo_id, repo, resolve[3])

    def serve_info(self, repo_id: str, repo: Repo, blobs: bool):
        siblings = [repo.sibling(name) if blobs else {"rfilename": name} for name in sorted(repo.files)]
        info = {"id": repo_id, "modelId": repo_id, "sha": repo.commit, "private": repo.private, "gated": False,
                "disabled": False, "downloads": 0, "likes": 0, "tags": [], "siblings": siblings}  # fmt: skip
        self.reply(200, json.dumps(info).encode(), {"Content-Type": "application/json; charset=utf-8"})

    def serve_file(self, repo_id: str, repo: Repo, name: str):
        if name not in repo.files:
            return self.error(404, "EntryNotFound", "Entry not found", X_Repo_Commit=repo.commit)
        tag = f'"{repo.etag(name)}"'
        if not repo.is_lfs(name):
            return self.content(repo.files[name], {"ETag": tag, "X-Repo-Commit": repo.commit})
        location = f"http://localhost:{self.hub.cdn.server_port}/{repo.etag(name)}?signature=secret"
        size = str(len(repo.files[name]))
        self.reply(302, b"", {"Location": location, "X-Repo-Commit": repo.commit, "X-Linked-Etag": tag, "X-Linked-Size": size})

    def serve_cdn(self, path: str):
        if self.hub.cdn_refuses:
            return self.reply(404)
        for repo in self.hub.repos.values():
            for name, content in repo.files.items():
                if repo.is_lfs(name) and path == f"/{repo.etag(name)}":
                    self.content(content, {"ETag": f'"{hashlib.md5(content).hexdigest()}"'})
                    self.hub.cdn_refuses = self.hub.cut_after is not None
                    return None
        return self.reply(404)


class FakeHub:
    def __init__(self, repos: dict[str, Repo], token: str = "hf_test"):
        self.repos, self.token = repos, token
        self.lock, self.requests = threading.Lock(), []
        self.cut_after: int | None = None  # Bytes after which the first answer for a large file breaks off ...
        self.cdn_refuses = False  # ... and after which all others are refused.
        self.hub, self.cdn = self.start(False), self.start(True)

    def start(self, is_cdn: bool):
        handler = type("BoundHandler", (Handler,), {"hub": self, "is_cdn": is_cdn})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.handle_error = lambda *_: None  # Clients are killed on purpose.
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.hub.server_port}"

    def take_requests(self) -> list:
        with self.lock:
            taken, self.requests = self.requests, []
        return taken
