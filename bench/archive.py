#!/usr/bin/env python3
"""Remembers what a distribution's archive answered, for builds that are to be compared.

    bench/archive.py DIR PORT

A plain HTTP server in the way of an engine's containers: what was asked of any host before comes from
DIR, the rest is fetched and kept. So every build sees the same archive at the same speed, and none
waits for the network. Lists are as frozen as packages: DIR is for one comparison.
"""

import hashlib
import http.server
import json
import pathlib
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request

ATTEMPTS = 5
TIMEOUT = 20


class Archive:
    """Answers by URL, on disk."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.guard = threading.Lock()
        self.locks = {}

    def answer(self, url):
        """(status, file or None) of a URL."""
        name = hashlib.sha256(url.encode()).hexdigest()
        with self.guard:
            lock = self.locks.setdefault(name, threading.Lock())
        note, body = self.folder / f"{name}.json", self.folder / f"{name}.body"
        with lock:
            if not note.exists():
                status = self.fetch(url, body)
                note.write_text(json.dumps({"url": url, "status": status}))
            status = json.loads(note.read_text())["status"]
        return status, body if status == 200 else None

    def fetch(self, url, body):
        for attempt in range(ATTEMPTS):
            try:
                with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, body.open("wb") as file:
                    shutil.copyfileobj(answer, file, 1 << 20)
                    expected = answer.headers.get("Content-Length")
                    if expected is None or file.tell() == int(expected):
                        return 200
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    return error.code
            except OSError:
                pass
            time.sleep(attempt)
        raise ConnectionError(url)


class Handler(http.server.BaseHTTPRequestHandler):
    """GET for any host."""

    protocol_version = "HTTP/1.1"
    archive = None

    def do_GET(self):
        # Who takes us for a proxy asks for the whole of the address.
        whole = self.path.startswith("http://")
        url = self.path if whole else f"http://{self.headers['Host']}{self.path}"
        try:
            status, body = self.archive.answer(url)
        except ConnectionError:
            status, body = 504, None
        self.send_response(status)
        self.send_header("Content-Length", str(body.stat().st_size if body else 0))
        self.end_headers()
        if body:
            with body.open("rb") as file:
                self.wfile.flush()
                self.connection.sendfile(file)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """One thread a connection."""

    daemon_threads = True
    request_queue_size = 64


def serve(folder, port=0):
    """Starts a server in the background; gives it, with its port in `server_port`."""
    handler = type("Handler", (Handler,), {"archive": Archive(folder)})
    server = Server(("0.0.0.0", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    print("port", serve(sys.argv[1], int(sys.argv[2])).server_port, flush=True)
    threading.Event().wait()
