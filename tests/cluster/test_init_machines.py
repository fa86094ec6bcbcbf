"""Three machines set up by qdns init, each with nothing but the files it was told to be given."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.lab import Lab, why_not
from tests.cluster.nodes import ask
from tests.cluster.servers import wait_until

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(120),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
]

ROOT = Path(__file__).parent.parent.parent


class Machines:
    """Machines of a lab, each with a folder that stands for its /etc/quorumdns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lab = Lab(3)
        self.lab.start()
        self._processes: list[subprocess.Popen[bytes]] = []

    def home(self, number: int) -> Path:
        return self.folder / f"machine{number}"

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "node", *words]

    def environment(self, number: int) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("QDNS_", "CONF", "LOCAL"))
        }
        return kept | {"PYTHONPATH": str(ROOT), "STATE_DIRECTORY": str(self.home(number) / "state")}

    def run(self, number: int, *words: str, **environment: str) -> str:
        """Run a command on a machine, in its folder."""
        done = subprocess.run(
            self.lab.command(number, *self.words(*words)),
            check=False,
            capture_output=True,
            text=True,
            cwd=self.home(number),
            env=self.environment(number) | environment,
            timeout=30,
        )
        return done.stdout + done.stderr

    def set_up(self) -> None:
        """Do what qdns init says is next, with folders in the place of ssh."""
        nodes = [word for n in self.lab_numbers for word in ("--node", f"ns{n}={Lab.address(n)}")]
        said = subprocess.run(
            self.words("init", "--cluster", "prod", *nodes, "--zone", "example.org", "--out", "made"),
            check=True,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment(0),
        ).stdout
        lines = [line.strip() for line in said.splitlines() if line.strip().startswith("tar ")]
        for number, line in zip(self.lab_numbers, lines, strict=True):
            packing, _, there = line.partition(" | ")
            assert there.startswith(f"ssh root@{Lab.address(number)} ")
            self.home(number).mkdir()
            subprocess.run(
                f"{packing} | tar -x -C {self.home(number)}", shell=True, check=True, cwd=self.folder
            )

    @property
    def lab_numbers(self) -> range:
        return range(1, self.lab.nodes + 1)

    def start(self) -> None:
        for number in self.lab_numbers:
            with (self.home(number) / "log").open("ab") as log:
                command = self.lab.command(number, *self.words("run"))
                self._processes.append(
                    subprocess.Popen(
                        command, stdout=log, stderr=log, cwd=self.home(number), env=self.environment(number)
                    )
                )

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(15)
        self.lab.stop()


@pytest.fixture(name="machines")
def fixture_machines(tmp_path: Path) -> Iterator[Machines]:
    machines = Machines(tmp_path)
    try:
        machines.set_up()
        yield machines
    finally:
        machines.stop()


def test_machines_that_follow_the_printed_steps_are_a_cluster(machines: Machines) -> None:
    """Certificates between them, a token for people, a secret for their status: healthy from each one's view."""
    assert " ok " in machines.run(2, "config", "check")
    assert "this node: ns2" in machines.run(2, "config", "check")
    assert not any((machines.home(number) / "offline").exists() for number in machines.lab_numbers)
    machines.start()
    seen: list[str] = []

    def is_healthy(number: int) -> bool:
        said = machines.run(number, "status", "--json", QDNS_TOKEN_FILE="secrets/admin-token")
        seen[:] = [said]
        return said.startswith("{") and json.loads(said)["health"] == "healthy"

    for number in machines.lab_numbers:
        wait_until(
            lambda number=number: is_healthy(number), f"ns{number} says healthy: {seen}", 40, every_s=0.5
        )
    elsewhere = ("record", "set", "a.example.org", "A", "192.0.2.1", "--api", f"https://{Lab.address(2)}:7380")
    assert "an authority that is not trusted here" in machines.run(1, *elsewhere)
    assert "this node asks for a token" in machines.run(1, *elsewhere, "--ca", "tls/ca.pem")
    machines.run(1, "record", "set", "a.example.org", "A", "192.0.2.1", QDNS_TOKEN_FILE="secrets/admin-token")
    with machines.lab.entered():
        for number in machines.lab_numbers:
            wait_until(
                lambda number=number: ask(Lab.address(number), 53, "a.example.org") == {"192.0.2.1"},
                f"ns{number} answers what was written",
            )
