"""A node's API for tests: answers from a scene, a JSON file of ``METHOD path`` -> answer, and remembers."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: Any


@dataclass
class FakeNode:
    """Serves answers: ``METHOD path?query`` first, then ``METHOD path``, else a problem not_found."""

    answers: dict[str, Any]
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                text = self.rfile.read(length)
                headers = {key.lower(): value for key, value in self.headers.items()}
                node.seen.append(Seen(self.command, self.path, headers, json.loads(text) if text else None))
                answer = node.answer(self.command, self.path)
                if answer.get("drop"):
                    self.close_connection = True
                    return
                self._send(answer)

            def _send(self, answer: dict[str, Any]) -> None:
                body = answer["body"]
                octets = body if isinstance(body, bytes) else json.dumps(body).encode()
                octets = body.encode() if isinstance(body, str) else octets
                status = answer.get("status", 200)
                kind = "application/json" if status < 400 else "application/problem+json"
                self.send_response(status)
                self.send_header("Content-Type", answer.get("type", kind))
                self.send_header("Content-Length", str(len(octets)))
                for key, value in answer.get("headers", {}).items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(octets)

            do_GET = do_PUT = do_DELETE = do_PATCH = do_POST = _serve  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def writes(self) -> list[Seen]:
        return [each for each in self.seen if each.method != "GET"]

    def answer(self, method: str, target: str) -> dict[str, Any]:
        path = target.partition("?")[0]
        for key in (f"{method} {target}", f"{method} {path}"):
            if key in self.answers:
                found = self.answers[key]
                return found if "body" in found or "drop" in found else {"body": found}
        return problem(404, "not_found", f"there is nothing at {path}")

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


def problem(status: int, code: str, detail: str, hint: str = "", **more: Any) -> dict[str, Any]:
    """Return a refusal as the API writes it."""
    body = {
        "type": "about:blank",
        "title": code,
        "status": status,
        "code": code,
        "detail": detail,
        "hint": hint,
    }
    return {"status": status, "body": body | more}


def scene(name: str) -> dict[str, Any]:
    """Read the answers of a scene; ``@name`` stands for the answers of another one."""
    answers = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    base = answers.pop("@", None)
    return {**(scene(base) if base else {}), **answers}
