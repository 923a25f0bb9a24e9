"""Storage that fails: an HTTP proxy before an S3 server that breaks requests by rule, and local files that do.

    with FaultyProxy(s3_server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        s3fs.S3FileSystem.clear_instance_cache()   # clients keep the endpoint they were made with
        rule = proxy.fail("503", "GET /bucket/scans/", seconds=3)
        …
        assert rule.hits and not proxy.rules

Processes that are started afterwards (Ray's workers) inherit the variable. Rules may be added and taken back at any
time; a rule is over after `seconds` or `times`, and then takes no part any more.
"""

import http.client
import random
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# What a rule may do: an S3 error (status, code), or one of "reset" (the connection is closed without an answer),
# "truncate" (half of the body, then closed), "hang" (no answer for as long as the rule holds).
ERRORS = {
    "503": (503, "SlowDown"),
    "500": (500, "InternalError"),
    "429": (429, "TooManyRequests"),
    "403": (403, "AccessDenied"),
    "404": (404, "NoSuchKey"),
    "expired": (400, "ExpiredToken"),
    "unknown-key": (403, "InvalidAccessKeyId"),
}


@dataclass
class Rule:
    """What is done to requests whose `METHOD /path?query` matches `pattern` (searched); `hits` counts them.

    The rule waits `after` matching requests, then holds for `seconds` from its first hit and at most for `times` hits
    (None: no such bound). It takes `share` of the requests, at random, and only those with `signed_with` as their key.
    """

    action: str
    pattern: str
    seconds: float | None = None
    times: int | None = None
    after: int = 0
    share: float = 1.0
    signed_with: str = ""
    hits: int = 0
    first_hit: float | None = field(default=None, repr=False)

    @property
    def is_over(self) -> bool:
        if self.times is not None and self.hits >= self.times:
            return True
        return None not in (self.seconds, self.first_hit) and time.monotonic() > self.first_hit + self.seconds


class FaultyProxy:
    """Forwards to `upstream` (an http URL) from a port of its own; see the module's docstring.

    Attributes:
        url: where it listens.
        delay: seconds before each answer.
        log: `METHOD /path` of each request, with what was done to it: (request, action or "").
    """

    def __init__(self, upstream: str):
        self.upstream = urlsplit(upstream).netloc
        self.log: list[tuple[str, str]] = []
        self.delay = 0.0
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._random = random.Random(0)
        proxy = self

        class Handler(_Handler):
            faults = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="faulty-proxy", daemon=True)

    def __enter__(self) -> "FaultyProxy":
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(self, action: str, pattern: str = "", **bounds) -> Rule:
        """Add a rule; see `Rule` for `bounds`."""
        assert action in ERRORS or action in ("reset", "truncate", "hang"), action
        rule = Rule(action, pattern, **bounds)
        with self._lock:
            self._rules.append(rule)
        return rule

    def heal(self) -> None:
        """Take all rules back, and the delay."""
        self.delay = 0.0
        with self._lock:
            self._rules.clear()

    @property
    def rules(self) -> list[Rule]:
        """The rules that still hold."""
        return [rule for rule in self._rules if not rule.is_over]

    def rule_for(self, request: str, signature: str) -> Rule | None:
        """Return the rule a request falls under, which counts it."""
        with self._lock:
            for rule in self._rules:
                if rule.is_over or not re.search(rule.pattern, request) or rule.signed_with not in signature:
                    continue
                if self._random.random() >= rule.share:
                    continue
                if rule.after > 0:
                    rule.after -= 1
                    continue
                rule.hits += 1
                rule.first_hit = rule.first_hit or time.monotonic()
                return rule
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: FaultyProxy

    def log_message(self, *arguments) -> None:
        pass

    def _answer(self) -> None:
        body = self._body()
        request = f"{self.command} {self.path}"
        rule = self.faults.rule_for(request, self.headers.get("Authorization", ""))
        self.faults.log.append((request, rule.action if rule else ""))
        time.sleep(self.faults.delay)
        if rule and rule.action == "hang":
            while rule in self.faults.rules:
                time.sleep(0.05)
        if rule and rule.action in ("reset", "hang"):
            self._close()
        elif rule and rule.action in ERRORS:
            self._refuse(*ERRORS[rule.action])
        else:
            self._forward(body, cut=rule is not None)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(chunks)

    def _refuse(self, status: int, code: str) -> None:
        content = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>injected</Message></Error>'.encode()
        self._send(status, {"Content-Type": "application/xml"}, content)

    def _forward(self, body: bytes, cut: bool) -> None:
        hop = ("transfer-encoding", "expect", "content-length", "connection")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in hop}
        upstream = http.client.HTTPConnection(self.faults.upstream, timeout=60)
        try:
            upstream.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
            answer = upstream.getresponse()
            content = answer.read()
            kept = {n: v for n, v in answer.getheaders() if n.lower() not in (*hop, "server", "date")}
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self._send(answer.status, kept, content, length, cut)
        finally:
            upstream.close()

    def _send(self, status: int, headers: dict, content: bytes, length: str | None = None, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.wfile.flush()
            self._close()

    def _close(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)
