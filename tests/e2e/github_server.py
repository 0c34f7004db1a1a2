"""As much of GitHub's REST API as the action needs for one pull request and the artifacts of one workflow run, strict about what it is asked: a wrong method, path, header, query or
body is refused as GitHub would, and noted in `refused`. Shapes: <https://docs.github.com/en/rest/issues/comments>, <https://docs.github.com/en/rest/pulls/pulls>.
"""

import contextlib
import hashlib
import http.server
import json
import re
import threading
import urllib.parse

# The account that comments with the token of a workflow.
BOT = "github-actions[bot]"
MOST = 65_536


def account(login, kind="User", number=1):
    """What GitHub tells of an account, in every answer."""
    url = f"https://api.github.com/users/{login}"
    rest = ("followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events", "received_events")
    return {
        "login": login, "id": number, "node_id": f"U_{number}", "avatar_url": "https://avatars.githubusercontent.com/u/1", "gravatar_id": "",
        "url": url, "html_url": f"https://github.com/{login}", "type": kind, "site_admin": False,
    } | {f"{name}_url": f"{url}/{name}" for name in rest}


class GitHub:
    """Serves one repository with one pull request on `host`, to whoever has `token`. Use as a context."""

    def __init__(self, host, token, repository="org/project", number=7, files=(), head="1" * 40):
        self.token, self.repository, self.number, self.files, self.head = token, repository, number, list(files), head
        self.comments, self.requests, self.refused = [], [], []
        # The artifacts of workflow run 5, by name: their archives.
        self.artifacts = {}
        self._lock = threading.Lock()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                with server._lock:
                    status, value, headers = server.answer(self.command, self.path, self.headers, body)
                is_blob = isinstance(value, bytes)
                data = value if is_blob else json.dumps(value).encode()
                self.send_response(status)
                kind = "application/zip" if is_blob else "application/json; charset=utf-8"
                for name, text in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, text)
                self.end_headers()
                # Of an archive not all may be wanted.
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        self._http = http.server.ThreadingHTTPServer((host, 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://{host}:{self._http.server_address[1]}"
        # Another port, and thereby another place.
        self._storage = http.server.ThreadingHTTPServer((host, 0), Handler)
        self._storage.daemon_threads = True
        self.storage = f"http://{host}:{self._storage.server_address[1]}"

    def __enter__(self):
        for served in (self._http, self._storage):
            threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        for served in (self._http, self._storage):
            served.shutdown()
            served.server_close()

    def comment(self, login, body):
        """A comment, as somebody wrote it."""
        number = 1000 + len(self.comments)
        url = f"https://api.github.com/repos/{self.repository}"
        kind = "Bot" if login == BOT else "User"
        self.comments.append({
            "id": number, "node_id": f"IC_{number}", "url": f"{url}/issues/comments/{number}", "issue_url": f"{url}/issues/{self.number}",
            "html_url": f"https://github.com/{self.repository}/pull/{self.number}#issuecomment-{number}", "body": body,
            "user": account(login, kind, 41898282 if kind == "Bot" else 2), "author_association": "NONE",
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "performed_via_github_app": None,
        })
        return self.comments[-1]

    def artifact(self, number):
        name = list(self.artifacts)[number]
        url = f"https://api.github.com/repos/{self.repository}/actions/artifacts/{500 + number}"
        run = {"id": 5, "repository_id": 1, "head_repository_id": 1, "head_branch": "topic", "head_sha": self.head}
        return {
            "id": 500 + number, "node_id": f"A_{number}", "name": name, "size_in_bytes": len(self.artifacts[name]), "url": url, "expired": False,
            "archive_download_url": f"{url}/zip", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            "expires_at": "2026-04-01T00:00:00Z", "digest": f"sha256:{hashlib.sha256(self.artifacts[name]).hexdigest()}", "workflow_run": run,
        }

    def own(self):
        """The comments of the bot."""
        return [comment for comment in self.comments if comment["user"]["login"] == BOT]

    def pull(self):
        repository = {"id": 1, "name": self.repository.split("/")[1], "full_name": self.repository, "fork": False,
                      "url": f"https://api.github.com/repos/{self.repository}", "owner": account(self.repository.split("/")[0], "Organization")}
        side = lambda ref, sha: {"label": f"org:{ref}", "ref": ref, "sha": sha, "user": account("org"), "repo": repository}
        return {
            "url": f"https://api.github.com/repos/{self.repository}/pulls/{self.number}", "id": 70, "node_id": "PR_70", "number": self.number,
            "html_url": f"https://github.com/{self.repository}/pull/{self.number}", "state": "open", "locked": False, "title": "A change",
            "user": account("contributor"), "body": None, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            "closed_at": None, "merged_at": None, "merge_commit_sha": None, "draft": False, "changed_files": len(self.files),
            "head": side("topic", self.head), "base": side("main", "2" * 40),
        }

    def answer(self, method, target, headers, body):
        """Status, JSON, headers."""
        path, _, query = target.partition("?")
        query = dict(urllib.parse.parse_qsl(query, strict_parsing=True)) if query else {}
        self.requests.append((method, path, query))

        def refuse(status, message):
            self.refused.append(f"{method} {target}: {status} {message}")
            return status, {"message": message, "status": str(status)}, {}

        if found := re.fullmatch(r"/blobs/(\d+)", path):
            # Storage of another host: the token must not get there.
            if headers.get("Authorization") or query != {"sig": "signed"}:
                return refuse(400, "the token went to the storage, or the signature did not")
            return 200, list(self.artifacts.values())[int(found[1])], {}
        if headers.get("Authorization") not in (f"Bearer {self.token}", f"token {self.token}"):
            return refuse(401, "Bad credentials")
        if not headers.get("User-Agent"):
            return refuse(403, "Request forbidden by administrative rules")
        if not re.match(r"application/(vnd\.github[.+\w]*\+)?json|\*/\*", headers.get("Accept") or "*/*"):
            return refuse(415, f"Unsupported 'Accept' header: {headers.get('Accept')}")
        value = None
        if method in ("POST", "PATCH"):
            with contextlib.suppress(ValueError):
                value = json.loads(body)
            if not isinstance(value, dict):
                return refuse(400, "Problems parsing JSON")
        elif body:
            return refuse(400, "a body where none belongs")

        if (method, path) == ("POST", "/graphql"):
            return 200, {"data": {"viewer": {"login": BOT}}}, {}
        repository = f"/repos/{self.repository}"
        if (method, path) == ("GET", f"{repository}/pulls"):
            is_asked = query.get("head") in (None, f"{self.repository.split('/')[0]}:topic") and query.get("state", "open") in ("open", "all")
            return self.page(path, query, [self.pull()] if is_asked else [], refuse)
        if (method, path) == ("GET", f"{repository}/actions/runs/5/artifacts"):
            listed = [self.artifact(number) for number in range(len(self.artifacts))]
            listed = [artifact for artifact in listed if query.get("name") in (None, artifact["name"])]
            status, items, links = self.page(path, query, listed, refuse)
            return (status, {"total_count": len(listed), "artifacts": items}, links) if status == 200 else (status, items, links)
        if found := re.fullmatch(rf"{repository}/actions/artifacts/(\d+)/zip", path):
            if method == "GET" and 0 <= int(found[1]) - 500 < len(self.artifacts):
                return 302, {}, {"Location": f"{self.storage}/blobs/{int(found[1]) - 500}?sig=signed"}
        if (method, path) == ("GET", f"{repository}/pulls/{self.number}"):
            return 200, self.pull(), {}
        if (method, path) == ("GET", f"{repository}/pulls/{self.number}/files"):
            status = lambda name: {"sha": "3" * 40, "filename": name, "status": "modified", "additions": 1, "deletions": 0, "changes": 1,
                                   "blob_url": "https://github.com/", "raw_url": "https://github.com/", "contents_url": "https://api.github.com/"}
            return self.page(path, query, [status(name) for name in self.files], refuse)
        if method == "GET" and re.fullmatch(rf"{repository}/commits/[0-9a-f]{{40}}/pulls", path):
            return self.page(path, query, [], refuse)
        comments = f"{repository}/issues/{self.number}/comments"
        if (method, path) == ("GET", comments):
            return self.page(path, query, self.comments, refuse)
        if (method, path) == ("POST", comments):
            if problem := self.wrong_body(value):
                return refuse(422, problem)
            return 201, self.comment(BOT, value["body"]), {}
        if found := re.fullmatch(rf"{repository}/issues/comments/(\d+)", path):
            comment = next((comment for comment in self.comments if comment["id"] == int(found[1])), None)
            if comment is None:
                return refuse(404, "Not Found")
            if method == "GET":
                return 200, comment, {}
            if method == "PATCH":
                if comment["user"]["login"] != BOT:
                    return refuse(403, "Resource not accessible by integration")
                if problem := self.wrong_body(value):
                    return refuse(422, problem)
                comment["body"] = value["body"]
                comment["updated_at"] = "2026-01-02T00:00:00Z"
                return 200, comment, {}
        return refuse(404, "Not Found")

    @staticmethod
    def wrong_body(value):
        """What is wrong with a comment's body; None if nothing is."""
        if set(value) != {"body"} or not isinstance(value["body"], str) or not value["body"].strip():
            return "body is missing, empty or not alone"
        return f"body is too long (maximum is {MOST} characters)" if len(value["body"]) > MOST else None

    def page(self, path, query, items, refuse):
        """A page of a list, with the links to the others."""
        size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
        if not 1 <= size <= 100 or page < 1:
            return refuse(422, "no such page")
        last = max(1, -(-len(items) // size))
        link = lambda number, name: f'<{self.url}{path}?{urllib.parse.urlencode(query | {"page": number})}>; rel="{name}"'
        links = [link(page + 1, "next"), link(last, "last")] if page < last else []
        return 200, items[(page - 1) * size:page * size], {"Link": ", ".join(links)} if links else {}
