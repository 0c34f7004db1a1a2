"""A registry for tests: Debian's docker-registry, and before it a server that counts, and that fails where a repository's name asks for it.

`absent/...` is answered with 404, `auth/...` with 401, `limited/...` with 429, `down/...` with 503; what else is asked goes to the registry.
"""

import collections
import http.client
import http.server
import json
import pathlib
import re
import socket
import subprocess
import threading
import time

FAULTS = {
    "absent": (404, "MANIFEST_UNKNOWN", {}),
    "auth": (401, "UNAUTHORIZED", {"WWW-Authenticate": 'Basic realm="e2e"'}),
    "limited": (429, "TOOMANYREQUESTS", {"Retry-After": "1"}),
    "down": (503, "UNAVAILABLE", {}),
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class FrontRegistry:
    """Serves from `with` on: pushes go to `push_host`, pulls that are counted to `url`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.requests = collections.Counter()
        self.lock = threading.Lock()

    def __enter__(self):
        port = free_port()
        self.push_host = f"127.0.0.1:{port}"
        config = self.folder / "registry.json"
        # JSON is YAML.
        config.write_text(json.dumps({
            "version": "0.1", "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "blobs")}}, "http": {"addr": self.push_host},
        }))
        self.log = (self.folder / "registry.log").open("w")
        self.registry = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=self.log, stderr=self.log)
        end = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > end or self.registry.poll() is not None:
                    self.registry.kill()
                    raise
                time.sleep(0.05)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.registry.terminate()
        self.registry.wait(10)
        self.log.close()

    def downloads(self, repository):
        """How often each blob of a repository was sent, by digest."""
        with self.lock:
            return {path: count for (method, path), count in self.requests.items()
                    if method == "GET" and path.startswith(f"/v2/{repository}/blobs/")}

    def asked(self, repository):
        """How many requests of any kind were made for a repository."""
        with self.lock:
            return sum(count for (_, path), count in self.requests.items() if path.startswith(f"/v2/{repository}/"))


def handler(front):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            path = self.path.split("?")[0]
            with front.lock:
                front.requests[self.command, path] += 1
            found = re.match(r"/v2/([^/]+)/", path)
            if found and found[1] in FAULTS:
                status, code, headers = FAULTS[found[1]]
                body = json.dumps({"errors": [{"code": code, "message": f"told to answer {status}"}]}).encode()
                self.answer(status, {"Content-Type": "application/json", **headers}, body)
                return
            upstream = http.client.HTTPConnection(front.push_host, timeout=60)
            wanted = {name: value for name, value in self.headers.items() if name.lower() in ("accept", "range")}
            upstream.request(self.command, self.path, headers=wanted)
            reply = upstream.getresponse()
            kept = {name: value for name, value in reply.getheaders()
                    if name.lower() not in ("transfer-encoding", "connection", "content-length")}
            body = reply.read()
            if self.command == "HEAD":
                kept["Content-Length"] = reply.getheader("Content-Length", "0")
            self.answer(reply.status, kept, body)
            upstream.close()

        do_HEAD = do_GET

        def answer(self, status, headers, body):
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler
