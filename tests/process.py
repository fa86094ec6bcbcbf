"""A whole node as a process of its own on loopback, from a configuration that the test writes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.cluster.servers import wait_until
from tests.ports import free_port

CONFIG = """
[[nodes]]
name = "ns1"
raft = "127.0.0.1:{raft}"
api  = "{scheme}://127.0.0.1:{api}"

[raft]
data_dir = "{folder}/data"

[[zones]]
name        = "example.org"
nameservers = ["ns1.example.org"]
records     = "ns1 A 192.0.2.53"

[log]
format = "json"

"""


class Process:
    """One node; ``more`` of the configuration stands behind what every test needs."""

    def __init__(
        self, folder: Path, more: str, secrets: Mapping[str, str] | None = None, scheme: str = "http"
    ) -> None:
        self.folder = folder
        self.scheme = scheme
        self.port, self.tls_port = free_port(), free_port()
        self.raft, self.api = free_port(), free_port()
        for name, text in (secrets or {}).items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        self.write(more)
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, more: str) -> None:
        """Write the configuration anew; ``{port}``, ``{tls_port}`` and ``{folder}`` are put in."""
        names = {"port": self.port, "tls_port": self.tls_port, "raft": self.raft, "api": self.api}
        names["scheme"] = self.scheme
        text = CONFIG + more
        for name, value in {**names, "folder": self.folder}.items():
            text = text.replace(f"{{{name}}}", str(value))
        (self.folder / "cluster.toml").write_text(text)

    def __enter__(self) -> Self:
        words = [sys.executable, "-m", "node", "run", "-c", str(self.folder / "cluster.toml")]
        environ = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder, env=environ)
        self.wait_for("node.started")
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def reload(self, more: str) -> None:
        """Write the configuration anew and let the node read it."""
        assert self.process is not None
        seen = len(self.events("config.reloaded")) + len(self.events("config.refused"))
        self.write(more)
        self.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: len(self.events("config.reloaded")) + len(self.events("config.refused")) > seen, "reloaded"
        )

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of the log with this event."""
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        rows = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [row for row in rows if row.get("event") == name]

    def wait_for(self, event: str) -> dict[str, Any]:
        """Wait until the log has an event, and return the first."""

        def seen() -> list[dict[str, Any]]:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")[-3000:]
            return self.events(event)

        wait_until(seen, f"the log has {event}", timeout_s=20)
        return self.events(event)[0]
