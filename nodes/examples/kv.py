"""A key-value store of several servers, of which the first keeps the data and the others ask it.

    python3 kv.py NAME DIR PORT LEADER ADDRESS-OF-LEADER [--cache]

GET /kv/KEY, PUT /kv/KEY and PUT /kv/KEY?old=VALUE (empty: the key must be absent), which is 409 if
it holds another value. GET /leader is the name of the server that keeps the data.

A write is on the disk before it is answered, or read by anybody: it survives a loss of power.
"""
import http.client
import http.server
import json
import os
import sys
import threading
import urllib.parse

NAME, DIR, PORT, LEADER, LEADER_ADDR = sys.argv[1:6]
CACHE = {} if "--cache" in sys.argv else None  # the bug: what was seen last is served while the leader is silent


class Store:
    """A log of writes, and what it amounts to."""

    def __init__(self, path):
        self.lock, self.data = threading.Lock(), {}
        self.log = open(path, "a+b", buffering=0)
        sync(os.path.dirname(path))  # a file's name has to survive, too
        self.log.seek(0)
        whole = 0  # bytes: what a loss of power left of a last line was never answered
        for line in self.log:
            if not line.endswith(b"\n"):
                break
            key, value = json.loads(line)
            self.data[key] = value
            whole += len(line)
        self.log.truncate(whole)
        os.fsync(self.log.fileno())

    def get(self, key):
        with self.lock:
            return self.data.get(key)

    def put(self, key, value, old):
        """Writes, if old is None or the key holds it; returns whether it did."""
        with self.lock:
            if old is not None and self.data.get(key, "") != old:
                return False
            try:
                line = json.dumps([key, value]).encode() + b"\n"
                if self.log.write(line) != len(line):
                    raise OSError("a short write")
                os.fsync(self.log.fileno())
            except OSError as error:  # nobody knows what is on the disk: start again from there
                print("the disk failed:", error, flush=True)
                os._exit(1)
            self.data[key] = value
            return True


def sync(directory):
    fd = os.open(directory, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.serve(None)

    def do_PUT(self):
        self.serve(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def serve(self, value):
        url = urllib.parse.urlsplit(self.path)
        key = url.path.removeprefix("/kv/")
        if url.path == "/leader":
            self.answer(200, LEADER)
        elif NAME != LEADER:
            self.forward(key, value)
        elif value is None:
            found = store.get(key)
            self.answer(404 if found is None else 200, found or "")
        else:
            old = urllib.parse.parse_qs(url.query, keep_blank_values=True).get("old", [None])[0]
            self.answer(200 if store.put(key, value, old) else 409, "")

    def forward(self, key, value):
        leader = http.client.HTTPConnection(LEADER_ADDR, int(PORT), timeout=2)
        try:
            leader.request(self.command, self.path, None if value is None else value.encode())
            answer = leader.getresponse()
            status, body = answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            if CACHE is not None and value is None and key in CACHE:
                return self.answer(200, CACHE[key])
            return self.answer(504, f"nobody knows what became of it: {error}")
        finally:
            leader.close()
        if CACHE is not None and status == 200:
            CACHE[key] = body if value is None else value
        self.answer(status, body)

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_request(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024


if NAME == LEADER:
    store = Store(os.path.join(DIR, "log"))
print(NAME, "serves", flush=True)
Server(("0.0.0.0", int(PORT)), Handler).serve_forever()
