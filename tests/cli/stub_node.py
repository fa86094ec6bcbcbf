"""A stand-in for a node: listens where the configuration says and tells that it is ready.

``python stub_node.py run -c FILE --node NAME``. A file ``NAME.refuses`` beside the configuration lets it
end at once, ``NAME.deaf`` lets it ignore SIGTERM.
"""

import json
import signal
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Says that it is ready, and that ns1 leads."""

    def do_GET(self) -> None:
        body = json.dumps({"name": "stub", "leader": "ns1"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def main() -> None:
    config, name = Path(sys.argv[3]), sys.argv[5]
    if (config.parent / f"{name}.refuses").exists():
        print("node.refused detail='the journal is damaged'", flush=True)
        sys.exit(3)
    which = signal.SIG_IGN if (config.parent / f"{name}.deaf").exists() else signal.SIG_DFL
    signal.signal(signal.SIGTERM, which)
    nodes = tomllib.loads(config.read_text())["nodes"]
    host, _, port = next(each["api"] for each in nodes if each["name"] == name)[7:].rpartition(":")
    print(f"node.started node={name}", flush=True)
    ThreadingHTTPServer((host, int(port)), Handler).serve_forever()


main()
