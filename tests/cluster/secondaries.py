"""BIND, Knot and NSD as secondaries of all nodes of a cluster, each in a folder of its own."""

from pathlib import Path

from tests.cluster.servers import TSIG_NAME, TSIG_SECRET, Daemon


class Secondary(Daemon):
    """A name server that follows a zone: any node may notify it, and any may be asked for changes."""

    def __init__(
        self, folder: Path, address: str, port: int, zone: str, primaries: list[tuple[str, int]]
    ) -> None:
        self.primaries = primaries
        super().__init__(folder, address, port, zone)


class NamedSecondary(Secondary):
    """BIND."""

    program = "named"

    def write(self) -> None:
        primaries = " ".join(f"{host} port {port} key {TSIG_NAME};" for host, port in self.primaries)
        hosts = " ".join(f"{host};" for host, _ in self.primaries)
        (self.folder / "named.conf").write_text(
            f"""options {{
    directory "{self.folder}"; pid-file none; session-keyfile none; recursion no; notify no;
    listen-on port {self.port} {{ {self.address}; }}; listen-on-v6 {{ none; }};
    dnssec-validation no; serial-query-rate 100; min-retry-time 1; max-retry-time 5;
}};
controls {{ }};
key {TSIG_NAME} {{ algorithm hmac-sha256; secret "{TSIG_SECRET}"; }};
zone "{self.zone}" {{
    type secondary; file "{self.folder}/zone"; masterfile-format text;
    primaries {{ {primaries} }}; allow-notify {{ {hosts} }}; allow-transfer {{ any; }};
}};
"""
        )

    def words(self) -> list[str]:
        return ["/usr/sbin/named", "-g", "-n", "1", "-c", str(self.folder / "named.conf")]


class KnotSecondary(Secondary):
    """Knot DNS."""

    program = "knotd"

    def write(self) -> None:
        names = [f"p{number}" for number, _ in enumerate(self.primaries)]
        remotes = "".join(
            f"  - id: {name}\n    address: {host}@{port}\n    key: {TSIG_NAME}\n"
            for name, (host, port) in zip(names, self.primaries, strict=True)
        )
        hosts = ", ".join(host for host, _ in self.primaries)
        (self.folder / "knot.conf").write_text(
            f"""server:
    rundir: "{self.folder}"
    listen: {self.address}@{self.port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{self.folder}"
key:
  - id: {TSIG_NAME}
    algorithm: hmac-sha256
    secret: {TSIG_SECRET}
remote:
{remotes}acl:
  - id: primaries
    address: [{hosts}]
    action: notify
  - id: everybody
    address: 0.0.0.0/0
    action: transfer
zone:
  - domain: {self.zone}
    storage: "{self.folder}"
    file: zone
    master: [{", ".join(names)}]
    acl: [primaries, everybody]
    retry-max-interval: 5
    zonefile-sync: -1
log:
  - target: stderr
    any: info
"""
        )

    def words(self) -> list[str]:
        return ["/usr/sbin/knotd", "-c", str(self.folder / "knot.conf")]


class NsdSecondary(Secondary):
    """NSD."""

    program = "nsd"

    def write(self) -> None:
        lines = "".join(
            f"    request-xfr: {host}@{port} {TSIG_NAME}\n    allow-notify: {host} NOKEY\n"
            for host, port in self.primaries
        )
        (self.folder / "nsd.conf").write_text(
            f"""server:
    ip-address: {self.address}
    port: {self.port}
    server-count: 1
    username: ""
    chroot: ""
    pidfile: ""
    database: ""
    zonesdir: "{self.folder}"
    zonelistfile: "{self.folder}/zone.list"
    xfrdfile: "{self.folder}/xfrd.state"
    xfrdir: "{self.folder}"
    rrl-ratelimit: 0
    verbosity: 2
remote-control:
    control-enable: no
key:
    name: {TSIG_NAME}
    algorithm: hmac-sha256
    secret: "{TSIG_SECRET}"
zone:
    name: {self.zone}
    zonefile: "{self.folder}/zone"
    max-retry-time: 5
    provide-xfr: 0.0.0.0/0 NOKEY
{lines}"""
        )

    def words(self) -> list[str]:
        return ["/usr/sbin/nsd", "-d", "-c", str(self.folder / "nsd.conf")]


KINDS: tuple[type[Secondary], ...] = (NamedSecondary, KnotSecondary, NsdSecondary)
