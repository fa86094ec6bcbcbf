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
    ApiSettings,
    ClusterSettings,
    Config,
    DnsSettings,
    LogFormat,
    LogLevel,
    LogSettings,
    Node,
    NotifyEntry,
    PushToken,
    TsigKey,
)
from node.config.positions import Index
from node.config.schema import LogTable, Root
from node.config.secret import References, Secret
from node.config.source import Source, find, normalized, parse_toml, read
from node.config.validate import Validated, validate
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


@dataclasses.dataclass(frozen=True, slots=True)
class _Keys:
    """What the secrets of a file are for, beside the API's tokens."""

    cluster: Secret | None
    tsig: tuple[TsigKey, ...]
    push_tokens: tuple[PushToken, ...]
    receivers: tuple[NotifyEntry, ...]


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
        self.references = References(source.base, given.inline)

    def config(self, *, needs_node: bool) -> Config:
        """Build all of it. Raises ``ConfigError`` with everything that is wrong."""
        valid = validate(self.given.data, self.findings)
        draft, keys = self._draft(valid), self._keys(valid)
        rules.judge(draft, self.findings)
        self._judge_keys(draft, keys)
        tls.judge(valid.root, self.findings)
        identity = self._identity(draft.nodes, needs_node=needs_node)
        here = draft.nodes[0] if identity is None else identity.node
        dns = build_dns(valid.root, here, self.source.base, self.references, self.findings)
        rules_dns.judge_secrets(dns, self.environ, self.findings)
        api = build_api(valid.root, here, draft.tokens, self.references, self.environ, self.findings)
        log = self._log(valid.root)
        if self.findings.has_errors or identity is None:
            raise ConfigError(self._faults(), self._sources())
        config = self._config_of(draft, keys, identity, dns, api, log)
        return dataclasses.replace(config, shared_hash=shared_hash(config))

    def _draft(self, valid: Validated) -> Draft:
        return Draft(
            valid,
            nodes=build.build_nodes(valid.root),
            zones=build_zones(valid, self.source.base, self.findings),
            services=build.build_services(valid, self.findings),
            targets=push.build_targets(valid, self.findings),
            tokens=build.build_tokens(valid.root, self.references, self.findings),
        )

    def _keys(self, valid: Validated) -> _Keys:
        text = valid.root.cluster.secret
        path = ("cluster", "secret")
        return _Keys(
            cluster=build.build_secret(text, path, self.references, self.findings)
            if text is not None
            else None,
            tsig=tuple(build.build_tsig(valid, self.references, self.findings)),
            push_tokens=tuple(push.build_push_tokens(valid, self.references, self.findings)),
            receivers=notify.build_notify(valid, self.references, self.findings),
        )

    def _judge_keys(self, draft: Draft, keys: _Keys) -> None:
        notify.judge_secrets(keys.receivers, draft.valid, self.environ, self.findings)
        rules_secrets.judge(draft.valid, keys.cluster, keys.tsig, draft.tokens, self.environ, self.findings)
        rules_secrets.judge_push_tokens(keys.push_tokens, self.environ, self.findings)

    def _config_of(
        self,
        draft: Draft,
        keys: _Keys,
        identity: Identity,
        dns: DnsSettings,
        api: ApiSettings,
        log: LogSettings,
    ) -> Config:
        """Put the parts together; the hash of what all share is still to come."""
        root, base, node = draft.valid.root, self.source.base, identity.node
        tls_of = functools.partial(tls.build_tls, root, self.references)
        return Config(
            path=self.source.path,
            base=base,
            cluster=ClusterSettings(root.cluster.name, keys.cluster, tls_of(node.name), tls_of),
            nodes=draft.nodes,
            node=node,
            node_source=identity.source,
            raft=build.build_raft(root, base, node.name, self.environ),
            dns=dns,
            zones=tuple(each.command for each in draft.zones),
            services=tuple(each for each, _ in draft.services),
            targets=tuple(each for each, _ in draft.targets),
            health=build.build_health(root.health),
            checks=build.build_checks(root.checks, base),
            tsig=keys.tsig,
            api=api,
            log=log,
            push_tokens=keys.push_tokens,
            notify=keys.receivers,
            statsd=build.build_statsd(root),
            shared_hash="",
            is_rrdnsd=self.source.is_json,
            notes=self._notes(identity),
            warnings=tuple(self._faults()),
            sources=self._sources(),
        )

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
