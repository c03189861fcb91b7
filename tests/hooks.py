"""Something that is told by HTTP, and remembers what: where alerts and pings go."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hooks(ThreadingHTTPServer):
    """``posted`` has the JSON that was POSTed, ``asked`` the paths that were GET; ``status`` is what it answers."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted, self.asked, self.status = [], [], 200
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def events(self):
        return [one["event"] for one in self.posted]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status < 300:
            assert self.headers["Content-Type"] == "application/json"
            self.server.posted.append(json.loads(body))
        self._answer()

    def do_GET(self):
        self.server.asked.append(self.path)
        self._answer()

    def _answer(self):
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass
