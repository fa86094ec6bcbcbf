"""The version of this program, as its distribution's metadata says."""

import functools
import importlib.metadata


@functools.cache
def version() -> str:
    """Return the version; ``unknown`` in a checkout that was never installed."""
    try:
        return importlib.metadata.version("quorumdns")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
