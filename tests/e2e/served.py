"""A running `mformer serve`, and requests to it with Python's standard library."""

import contextlib
import http.client
import json
import signal
import socket
import time
from urllib.parse import urlsplit


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    def __repr__(self):
        return f"{self.status} {self.body[:2000]!r}"


class Server:
    """Started in a workspace; `stop()` ends it as Ctrl-C would."""

    def __init__(self, work, *arguments, **options):
        self.process = work.start("serve", "--port", "0", "--json", *arguments, **options)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the server did not start: {self.process.communicate()}")
        self.started = json.loads(line)
        address = urlsplit(self.started["address"])
        self.host, self.port = address.hostname, address.port

    def ask(self, method, path, body=None, timeout=60, **headers):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def complete(self, **fields):
        return self.ask("POST", "/v1/completions", {"model": self.started["models"][0], **fields})

    def chat(self, *messages, **fields):
        return self.ask("POST", "/v1/chat/completions", {"model": self.started["models"][0], "messages": list(messages), **fields})

    def raw(self, data=b"", timeout=60):
        """A connection on which `data` was sent."""
        connection = socket.create_connection((self.host, self.port), timeout=timeout)
        connection.sendall(data)
        return connection

    def metrics(self):
        """Name with labels → value."""
        lines = self.get("/metrics").body.decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}

    def wait_for(self, holds, seconds=30):
        """Returns once the metrics are such."""
        deadline = time.monotonic() + seconds
        while not holds(figures := self.metrics()):
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not come: {figures}")
            time.sleep(0.02)

    def stop(self, by=signal.SIGINT, timeout=60):
        """The exit code, and what was printed on stderr; `by` None: of one that was told already."""
        if by is not None and self.process.poll() is None:
            self.process.send_signal(by)
        _, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, err.decode()


def events(body):
    """The data of a stream's events; the last must be [DONE]."""
    data = [line[len(b"data: "):] for line in body.split(b"\n\n") if line]
    assert data[-1] == b"[DONE]", data
    return [json.loads(one) for one in data[:-1]]


def read_all(connection):
    """What comes until the other side closes."""
    received = b""
    with connection, contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received
