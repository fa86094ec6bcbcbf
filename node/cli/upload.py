"""A file on its way to a node: its octets, counted as they go."""

from collections.abc import Callable

import requests

from node.cli.faults import ExitCode, Failure


class Upload:
    """Octets that tell how many of them were sent."""

    def __init__(self, octets: bytes, sent: Callable[[int], object]) -> None:
        self._octets = octets
        self._sent = sent
        self._position = 0

    def __len__(self) -> int:
        return len(self._octets)

    def read(self, size: int = -1) -> bytes:
        """Return the next octets."""
        end = len(self._octets) if size < 0 else self._position + size
        piece = self._octets[self._position : end]
        self._position += len(piece)
        self._sent(len(piece))
        return piece


def refuse_lines(response: requests.Response) -> None:
    """Raise with all bad lines of a file, each as ``line N`` and what is wrong."""
    if response.status_code != 422:
        return
    errors = response.json().get("errors") or []
    if errors and all(str(each.get("pointer", "")).startswith("line ") for each in errors):
        lines = [f"{each['pointer'].removeprefix('line ')}: {each['message']}" for each in errors]
        raise Failure("the file has bad lines", ExitCode.CONFIG, facts=lines)
