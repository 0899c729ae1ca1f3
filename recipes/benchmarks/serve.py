#!/usr/bin/env python3
"""Load on `mformer serve`: one client, then many at once, in one run of one server, with slow and vanishing clients among them.

    python3 recipes/benchmarks/serve.py --workspace WORK [--model REF] [--dtype bfloat16] [--clients 32] [--seconds 60]

Every client streams one completion after the other, with prompts and lengths of several sizes, by HTTP connections of Python's
standard library. Printed: tokens a second of one client and of all, latencies, errors, and the server's memory. Exit code 1 where
there was an error, memory grew, or many clients get less than --least times the tokens of one."""

import argparse
import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
WORDS = "the light of evening falls on water and a day begins where earth was without form so they said it is good".split()


class Server:
    def __init__(self, options):
        program = os.environ.get("MFORMER_BIN", str(ROOT / "build/release/bin/mformer"))
        line = [program, "--workspace", options.workspace, "serve", "--port", "0", "--json", "--context", "4096"]
        line += ["--model", options.model] if options.model else []
        line += ["--dtype", options.dtype] if options.dtype else []
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        self.told = json.loads(self.process.stdout.readline())
        self.address = urlsplit(self.told["address"])

    def connect(self, timeout=120):
        return http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=timeout)

    def metrics(self):
        connection = self.connect()
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def request(server, chance):
    words = [chance.choice(WORDS) for _ in range(chance.choice((4, 16, 60, 160)))]
    return json.dumps({"model": server.told["models"][0], "prompt": " ".join(words), "max_tokens": chance.choice((16, 48, 96)),
                       "temperature": 0.8, "seed": chance.randrange(1 << 30), "stream": True, "stop": ["\0"],
                       "stream_options": {"include_usage": True}})


class Client(threading.Thread):
    """Asks again and again until the time is over."""

    def __init__(self, server, number, until):
        super().__init__()
        self.server, self.chance, self.until = server, random.Random(number), until
        self.tokens, self.firsts, self.gaps, self.problems = 0, [], [], []

    def run(self):
        connection = self.server.connect()
        while time.monotonic() < self.until:
            try:
                self.ask(connection)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.problems.append(repr(error))
                connection.close()

    def ask(self, connection):
        asked = last = time.monotonic()
        connection.request("POST", "/v1/completions", request(self.server, self.chance), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise ValueError(f"{response.status} {response.read()[:300]}")
        first, done = True, False
        while line := response.readline():
            if not line.startswith(b"data: "):
                continue
            done = line.startswith(b"data: [DONE]")
            now = time.monotonic()
            (self.firsts if first else self.gaps).append(now - last if not first else now - asked)
            first, last = False, now
            if b'"choices":[{' in line and b'"finish_reason":null' in line and now < self.until:
                self.tokens += 1
            if b'"error"' in line:
                raise ValueError(line.decode())
        if not done:
            raise ValueError("a stream ended early")


class Nuisance(threading.Thread):
    """Leaves in the middle, reads nothing, or sends its head byte by byte."""

    def __init__(self, server, until):
        super().__init__()
        self.server, self.until, self.done = server, until, 0

    def run(self):
        chance = random.Random(7)
        while time.monotonic() < self.until:
            connection = socket.create_connection((self.server.address.hostname, self.server.address.port))
            kind = self.done % 3
            if kind < 2:
                body = request(self.server, chance).encode()
                connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                time.sleep(0.5 if kind else 0.05)
            else:
                for byte in b"GET /health HT":
                    connection.sendall(bytes([byte]))
                    time.sleep(0.05)
            connection.close()
            self.done += 1


def load(server, count, seconds, nuisance=False):
    until = time.monotonic() + seconds
    clients = [Client(server, number, until) for number in range(count)]
    others = [Nuisance(server, until)] if nuisance else []
    samples = []
    for thread in clients + others:
        thread.start()
    while time.monotonic() < until:
        time.sleep(1)
        samples.append(server.metrics()["process_resident_memory_bytes"])
    for thread in clients + others:
        thread.join()
    gaps, firsts = sorted(gap for c in clients for gap in c.gaps), sorted(one for c in clients for one in c.firsts)
    return {"clients": count, "seconds": seconds, "tokens_per_second": sum(c.tokens for c in clients) / seconds,
            "requests": len(firsts), "problems": [problem for c in clients for problem in c.problems],
            "first_token_median_s": statistics.median(firsts), "first_token_p99_s": firsts[int(len(firsts) * 0.99)],
            "between_tokens_median_ms": 1000 * statistics.median(gaps), "between_tokens_p99_ms": 1000 * gaps[int(len(gaps) * 0.99)],
            "memory_mb": [round(one / 1e6) for one in samples], "nuisances": sum(other.done for other in others)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--model")
    parser.add_argument("--dtype")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--alone-seconds", type=float, default=15)
    parser.add_argument("--least", type=float, default=4, help="the least ratio of tokens, many clients to one")
    parser.add_argument("--most-growth", type=float, default=0.05, help="the share by which memory may grow in the second half")
    options = parser.parse_args()
    server = Server(options)
    load(server, 2, 2)  # what is made at the first request is made
    alone = load(server, 1, options.alone_seconds)
    many = load(server, options.clients, options.seconds, nuisance=True)
    figures = server.metrics()
    code = server.stop()
    half = many["memory_mb"][len(many["memory_mb"]) // 2:]
    ratio, growth = many["tokens_per_second"] / alone["tokens_per_second"], half[-1] / half[0] - 1
    for row in (alone, many):
        print(json.dumps(row))
    print(json.dumps({"ratio": ratio, "growth_second_half": growth, "exit_code": code, "left_running": figures["mformer_texts_running"],
                      "abandoned": figures['mformer_texts_total{end="abandoned"}'], "failed": figures['mformer_texts_total{end="failed"}']}))
    good = not alone["problems"] and not many["problems"] and ratio >= options.least and growth <= options.most_growth and code == 0
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
