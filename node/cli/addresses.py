"""Where the API is and who we are: flags, environment, the Unix socket, the configuration found, the default.

The configuration is only looked through for addresses here. Checking it is the business of
``node.config``, which takes longer to import than a whole ``qdns status`` may take.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from node.cli.faults import ExitCode, Failure, usage

API_PORT = 7380
DEFAULT_URL = f"http://127.0.0.1:{API_PORT}"
SOCKET = Path("/run/quorumdns/api.sock")
"""Where the systemd unit has it."""
UNIX_SCHEME = "http+unix://"
_UNIX = "unix:"
SEARCH = (Path("cluster.toml"), Path("/etc/quorumdns/cluster.toml"))


def segment(text: str) -> str:
    """Write a name so that it is one segment of a path."""
    return quote(text, safe="")


def api_urls(flag: str | None, config: Path | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the base URLs to try in order. Raises ``Failure``."""
    said = flag or environ.get("QDNS_API")
    if said:
        urls = tuple(_url(each) for each in said.replace(",", " ").split())
        if not urls:
            raise usage("--api names no URL", f"qdns status --api {DEFAULT_URL}")
        return urls
    path = config_path(config, environ)
    is_told = config is not None or bool(environ.get("CONF"))
    usual = () if is_told else _of_socket(SOCKET)
    found = (*usual, *(_of_file(path, environ) if path is not None else ()))
    return tuple(dict.fromkeys(found)) or (DEFAULT_URL,)


def shown(url: str) -> str:
    """Write a base URL for people: that of a Unix socket as ``unix:PATH``."""
    return _UNIX + unquote(url.removeprefix(UNIX_SCHEME)) if url.startswith(UNIX_SCHEME) else url


def _of_socket(path: Path) -> tuple[str, ...]:
    """Return the URL of a Unix socket that is there and that we may write to."""
    return (_unix_url(str(path)),) if path.is_socket() and os.access(path, os.W_OK) else ()


def _unix_url(path: str) -> str:
    return f"{UNIX_SCHEME}{quote(path, safe='')}"


def authorities(
    flag: Path | None, api: str | None, urls: tuple[str, ...], config: Path | None, environ: Mapping[str, str]
) -> str | None:
    """Return the file of authorities for these URLs, None where nothing names one. Raises ``Failure``.

    ``--ca`` or QDNS_CA for whatever is asked. The configuration's counts for its own nodes alone: URLs that
    ``api`` (--api) or QDNS_API name may be of another cluster, whose certificates it knows nothing of. A file that
    merely lies in this folder has no say in whom to believe at a URL that somebody gave.
    """
    said = flag or (Path(environ["QDNS_CA"]) if environ.get("QDNS_CA") else None)
    if said is not None:
        return _readable(said)
    secure = [url for url in urls if url.startswith("https:")]
    path = config_path(config, environ)
    if not secure or path is None:
        return None
    if not (api or environ.get("QDNS_API")):
        return _authorities_of(path)
    if config is None and not environ.get("CONF") and not path.is_absolute():
        return None
    try:
        return _authorities_of(path) if {*secure} <= {*_of_file(path, environ)} else None
    except Failure:  # whoever says whom to ask needs no configuration
        return None


def _readable(path: Path) -> str:
    try:
        with path.open("rb"):
            return str(path)
    except OSError as error:
        raise usage(f"cannot read the authorities {path}: {error.strerror}", "--ca FILE, or QDNS_CA") from None


def _authorities_of(path: Path) -> str | None:
    """Return the ``ca`` of [api] tls in a file, if it has one. Raises ``Failure``."""
    if path.suffix.lower() == ".json":
        return None
    tls = _table(_table(_parse(path), "api"), "tls")
    return str(path.parent / tls["ca"]) if isinstance(tls.get("ca"), str) else None


def _url(text: str) -> str:
    """Complete what people type: ``ns1:7380`` is meant to be a URL, ``unix:PATH`` names a Unix socket."""
    if text.startswith((_UNIX, UNIX_SCHEME)):
        return text if text.startswith(UNIX_SCHEME) else _unix_url(text.removeprefix(_UNIX))
    url = text if "://" in text else f"http://{text}"
    if not url.startswith(("http://", "https://")) or not url.partition("://")[2]:
        raise usage(f'"{text}" is not the URL of an API', f"write it like {DEFAULT_URL}")
    return url.rstrip("/")


def config_path(flag: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the configuration to look at: --config, CONF, or the first of the usual places that exists."""
    if flag is not None:
        return flag
    if environ.get("CONF"):
        return Path(environ["CONF"])
    return next((path for path in SEARCH if path.is_file()), None)


def node_names(path: Path) -> list[str]:
    """Return the names of the nodes in a file as they stand there. Raises ``Failure``."""
    return [str(each["name"]) for each in _tables(_parse(path), "nodes") if "name" in each]


def _of_file(path: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    data = _parse(path)
    if path.suffix.lower() == ".json":
        scheme = data.get("nodes_protocol", "http")
        listed = data.get("nodes")
        return tuple(f"{scheme}://{each}" for each in listed) if isinstance(listed, list) else ()
    nodes = _tables(data, "nodes")
    own = environ.get("LOCAL_NODE")
    nodes.sort(key=lambda each: own not in (each.get("name"), each.get("raft")))
    scheme = "https" if _table(data, "api").get("tls") else "http"
    urls = tuple(url for url in (_of_node(each, scheme) for each in nodes) if url)
    return (*_of_own_socket(data, path, nodes), *(urls or _of_listen(data, scheme)))


def _of_own_socket(data: Mapping[str, Any], path: Path, nodes: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the URLs of the Unix sockets that the file has for its nodes, those that are there."""
    socket = _table(data, "api").get("socket")
    if not isinstance(socket, str):
        return ()
    names = [str(each.get("name")) for each in nodes] or [""]
    places = dict.fromkeys(path.parent / socket.replace("{node}", name) for name in names)
    return tuple(url for place in places for url in _of_socket(place.absolute()))


def _of_node(node: Mapping[str, Any], scheme: str) -> str | None:
    if isinstance(node.get("api"), str):
        url = str(node["api"]).rstrip("/")
        return url if "://" in url else f"{scheme}://{url}"
    raft = node.get("raft")
    return f"{scheme}://{raft.rpartition(':')[0]}:{API_PORT}" if isinstance(raft, str) else None


def _of_listen(data: Mapping[str, Any], scheme: str) -> tuple[str, ...]:
    """Return the URL of a cluster of one, whose file names no nodes."""
    listen = _table(data, "api").get("listen")
    if not isinstance(listen, str):
        return ()
    host, _, port = listen.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "{address}": "127.0.0.1"}.get(host, host)  # noqa: S104
    return (f"{scheme}://{host}:{port}",)


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _tables(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    listed = data.get(key)
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _parse(path: Path) -> Mapping[str, Any]:
    import json

    import tomli

    try:
        text = path.read_text("utf-8")
        data = json.loads(text) if path.suffix.lower() == ".json" else tomli.loads(text)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Failure(
            f"cannot read the configuration {path}: {reason}",
            ExitCode.CONFIG,
            hint="qdns config check   or name a node: --api URL",
        ) from None
    return data if isinstance(data, dict) else {}


def token(flag: Path | None, environ: Mapping[str, str]) -> str | None:
    """Return the API token: --token-file, QDNS_TOKEN, QDNS_TOKEN_FILE; None without. Raises ``Failure``."""
    if flag is None and environ.get("QDNS_TOKEN"):
        return _checked(environ["QDNS_TOKEN"].strip(), "QDNS_TOKEN")
    if flag is None and not environ.get("QDNS_TOKEN_FILE"):
        return None
    path = flag or Path(environ["QDNS_TOKEN_FILE"])
    try:
        return _checked(path.read_text("utf-8").strip(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise usage(f"cannot read the token file {path}: {reason}") from None


def _checked(text: str, source: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise usage(f"{source} does not hold a token: one word of printable ASCII")
    return text
