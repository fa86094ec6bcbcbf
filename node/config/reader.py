"""``load``: from a file, the environment and flags to a ``Config``, or every fault at once."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast, get_args

import msgspec

from node.config import build, notify, push, rrdnsd, rules, rules_dns, rules_secrets, tls
from node.config.build_api import build_api
from node.config.build_dns import build_dns, shared_part
from node.config.draft import Draft
from node.config.findings import Findings, locate
from node.config.identity import Identity, NoIdentity, choose
from node.config.messages import ConfigError, Fault, did_you_mean
from node.config.model import (
    ClusterSettings,
    Config,
    LogFormat,
    LogLevel,
    LogSettings,
    Node,
)
from node.config.positions import Index
from node.config.schema import LogTable, Root
from node.config.secret import References
from node.config.source import Source, find, normalized, parse_toml, read
from node.config.validate import validate
from node.config.zones import build_zones

_LOG_VARIABLES = {"QDNS_LOG_LEVEL": "level", "QDNS_LOG_FORMAT": "format"}


def load(
    path: "Path | str | None" = None,
    environ: Mapping[str, str] = os.environ,
    node: str | None = None,
    *,
    needs_node: bool = True,
) -> Config:
    """Read the configuration: ``path`` (--config), CONF, ./cluster.toml, /etc/quorumdns/cluster.toml.

    ``node`` is what --node said. A ``.json`` file is read as rrdnsd's. On a machine that is no node, a
    command that needs none says so: it gets the first node, ``node_source`` "unknown" and a warning. Raises
    ``ConfigError`` with every fault.
    """
    found, note = find(path, environ)
    return load_source(read(found, note), environ, node, needs_node=needs_node)


def loads(
    text: str, environ: Mapping[str, str] = os.environ, node: str | None = None, *, base: Path | None = None
) -> Config:
    """Read a configuration from TOML text; relative paths start at ``base``. Raises ``ConfigError``."""
    source = Source("<text>", normalized(text), base or Path.cwd())
    return load_source(source, environ, node)


def load_source(
    source: Source, environ: Mapping[str, str], node: str | None, *, needs_node: bool = True
) -> Config:
    """Build the configuration from text that was read. Raises ``ConfigError``."""
    given = rrdnsd.read(source) if source.is_json else rrdnsd.Foreign(parse_toml(source))
    loading = _Loading(source, given, environ, node)
    return loading.config(needs_node=needs_node)


class _Loading:
    """One run of ``load``: the circumstances, and what is found wrong."""

    def __init__(
        self, source: Source, given: rrdnsd.Foreign, environ: Mapping[str, str], flag: str | None
    ) -> None:
        self.source = source
        self.given = given
        self.environ = environ
        self.flag = flag
        self.findings = Findings()

    def config(self, *, needs_node: bool) -> Config:
        valid = validate(self.given.data, self.findings)
        root, base = valid.root, self.source.base
        references = References(base, self.given.inline)
        nodes = build.build_nodes(root)
        zones = build_zones(valid, base, self.findings)
        services = build.build_services(valid, self.findings)
        targets = push.build_targets(valid, self.findings)
        push_tokens = push.build_push_tokens(valid, references, self.findings)
        tokens = build.build_tokens(root, references, self.findings)
        tsig = build.build_tsig(valid, references, self.findings)
        receivers = notify.build_notify(valid, references, self.findings)
        notify.judge_secrets(receivers, valid, self.environ, self.findings)
        secret = None
        if root.cluster.secret is not None:
            secret = build.build_secret(root.cluster.secret, ("cluster", "secret"), references, self.findings)
        rules.judge(Draft(valid, nodes, zones, services, targets, tokens), self.findings)
        rules_secrets.judge(valid, secret, tsig, tokens, self.environ, self.findings)
        rules_secrets.judge_push_tokens(push_tokens, self.environ, self.findings)
        tls.judge(root, self.findings)
        identity = self._identity(nodes, needs_node=needs_node)
        dns = build_dns(root, nodes[0] if identity is None else identity.node, base, references, self.findings)
        rules_dns.judge_secrets(dns, self.environ, self.findings)
        api = build_api(
            root,
            nodes[0] if identity is None else identity.node,
            tokens,
            references,
            self.environ,
            self.findings,
        )
        log = self._log(root)
        if self.findings.has_errors or identity is None:
            raise ConfigError(self._faults(), self._sources())
        node = identity.node
        tls_of = functools.partial(tls.build_tls, root, references)
        config = Config(
            path=self.source.path,
            base=base,
            cluster=ClusterSettings(root.cluster.name, secret, tls_of(node.name), tls_of),
            nodes=nodes,
            node=node,
            node_source=identity.source,
            raft=build.build_raft(root, base, node.name, self.environ),
            dns=dns,
            zones=tuple(each.command for each in zones),
            services=tuple(each for each, _ in services),
            targets=tuple(each for each, _ in targets),
            health=build.build_health(root.health),
            checks=build.build_checks(root.checks, base),
            tsig=tuple(tsig),
            api=api,
            log=log,
            push_tokens=tuple(push_tokens),
            notify=receivers,
            statsd=build.build_statsd(root),
            shared_hash="",
            is_rrdnsd=self.source.is_json,
            notes=self._notes(identity),
            warnings=tuple(self._faults()),
            sources=self._sources(),
        )
        return dataclasses.replace(config, shared_hash=shared_hash(config))

    def _identity(self, nodes: tuple[Node, ...], *, needs_node: bool) -> Identity | None:
        try:
            return choose(nodes, self.flag, self.environ, self.given.local_node)
        except NoIdentity as error:
            if not any(item.path[:1] == ("nodes",) for item in self.findings.items):
                level: Literal["error", "warning"] = "error" if needs_node or error.is_wish else "warning"
                name = self.source.name
                fault = Fault(str(error), "no-identity", name, suggestion=error.suggestion, level=level)
                self.findings.elsewhere.append(fault)
            return None if needs_node else Identity(nodes[0], "unknown")

    def _log(self, root: Root) -> LogSettings:
        """Let the environment stand over [log]."""
        chosen: dict[str, str] = {"level": root.log.level, "format": root.log.format}
        for variable, key in _LOG_VARIABLES.items():
            value = self.environ.get(variable)
            words = get_args(LogTable.model_fields[key].annotation)
            if value and value not in words:
                message = f'{variable} is "{value}", which is not possible'
                self.findings.elsewhere.append(Fault(message, suggestion=did_you_mean(value, words)))
            elif value:
                chosen[key] = value
        return LogSettings(cast(LogLevel, chosen["level"]), cast(LogFormat, chosen["format"]))

    def _notes(self, identity: Identity) -> tuple[str, ...]:
        notes = [self.source.note] if self.source.note else []
        if identity.source == "environment":
            notes.append(f"[main] local_node overridden by envvar LOCAL_NODE: {self.environ['LOCAL_NODE']}")
        return tuple(notes)

    def _faults(self) -> list[Fault]:
        """Return everything that was found; the key index is built only if there is something to place."""
        faults = [*self.findings.elsewhere, *self.given.warnings]
        if self.findings.items:
            index = Index(self.source.text, is_json=self.source.is_json)
            items = self.findings.items
            if self.source.is_json:
                items = [rrdnsd.translated(item, self.source.name) for item in items]
            faults = [*locate(items, index, self.source.name), *faults]
        return sorted(faults, key=lambda fault: fault.level)

    def _sources(self) -> dict[str, str]:
        return {self.source.name: self.source.text, **self.findings.sources}


def shared_hash(config: Config) -> str:
    """Return a short hash of what the nodes must agree on, whatever the file's comments and order of keys."""
    shared = (
        config.cluster.name,
        [(each.name, each.raft, each.api, each.site) for each in config.nodes],
        config.raft.election_timeout_s,
        config.raft.heartbeat_s,
        shared_part(config.dns),
        config.zones,
        config.services,
        config.targets,
        sorted((key.name, key.algorithm) for key in config.tsig),
        sorted(token.name for token in config.api.tokens),
    )
    return hashlib.sha256(msgspec.msgpack.encode(shared)).hexdigest()[:12]
