"""Whether the packages that are imported under our names are ours: ``node`` and ``raft`` are names that others use, too."""

import importlib.util
from pathlib import Path

PACKAGES = ("node", "raft")


def stranger() -> str:
    """Return the place of a package that would be imported in the place of one of ours; empty without one.

    Ours lie beside one another. This imports none of them: a foreign one may do anything.
    """
    home = Path(__file__).resolve().parent.parent
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        places = [] if spec is None else list(spec.submodule_search_locations or [spec.origin or ""])
        if home / package not in [Path(place).resolve() for place in places][:1]:
            return places[0] if places else f"nowhere ({package} is missing)"
    return ""
