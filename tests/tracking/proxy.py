"""A proxy before a server that is slow, answers errors, or breaks off, as it is told to."""

from __future__ import annotations

import base64
import http.client
import random
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tracking.mlflow_server import Server


class Proxy:
    """Passes requests on to a server.

    Args:
        server: where to.

    Attributes:
        delay: seconds before each answer.
        errors: share of the requests that are answered with 500, half of them after they took effect.
        breaks: share of the requests whose connection breaks, half of them after they took effect.
        requests: how many there were.
        login: ``user:password`` that whoever asks must have; None lets everybody in.
        answer: status and body that every request gets; None asks the server.
    """

    def __init__(self, server: Server) -> None:
        self.delay = 0.0
        self.errors = 0.0
        self.breaks = 0.0
        self.requests = 0
        self.login: str | None = None
        self.answer: tuple[int, bytes] | None = None
        self._random = random.Random(5)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                proxy.requests += 1
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                time.sleep(proxy.delay)
                refusal = proxy.refusal(self.headers.get("Authorization"))
                if refusal is not None:
                    with suppress(ConnectionError):
                        self.reply(refusal[0], {}, refusal[1])
                    return
                fault, effect = proxy.draw()
                status, headers, content = (500, {}, b"fault") if fault and not effect else self.ask(body)
                if fault == "break":
                    self.close_connection = True
                    return
                if fault == "error":
                    status, headers, content = 500, {}, b"fault"
                with suppress(ConnectionError):  # whoever asked has given up
                    self.reply(status, headers, content)

            def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                try:
                    connection.request(self.command, self.path, body, {**headers, "Host": f"127.0.0.1:{server.port}"})
                    answer = connection.getresponse()
                    return answer.status, dict(answer.getheaders()), answer.read()
                finally:
                    connection.close()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, format: str, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def refusal(self, given: str | None) -> tuple[int, bytes] | None:
        """What a request with this header is answered without the server; None where the server answers."""
        if self.login is not None and given != f"Basic {base64.b64encode(self.login.encode()).decode()}":
            return 401, b"who are you?"
        return self.answer

    def draw(self) -> tuple[str | None, bool]:
        """The fault of one request, and whether the request takes effect all the same."""
        number = self._random.random()
        fault = "error" if number < self.errors else "break" if number < self.errors + self.breaks else None
        return fault, self._random.random() < 0.5

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
