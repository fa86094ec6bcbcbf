"""Every configuration of docs/dns.md, run by the server it is for."""

import contextlib
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from node.config import load
from node.dns.listen import ListenFailed
from node.dns.server import DnsSettings
from tests.cluster.servers import TSIG_SECRET, wait_until
from tests.dns.zones import zones
from tests.interop.ours import Ours
from tests.ports import free_port
from tests.process import Process

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "dns.md").read_text()
DOCUMENTED = ("198.51.100.1", "198.51.100.2")
ZONE = "@ NS ns1.dyn.example.com.\n@ NS ns2.dyn.example.com.\nns2 A 198.51.100.2\nwww A 192.0.2.80\n"
PARENT = """$TTL 300
@ SOA ns hostmaster 1 7200 900 1209600 60
@ NS ns
ns A 127.0.0.1
"""


def block(title: str) -> str:
    """Return the code block with this title."""
    found = re.findall(rf"```\w+ {re.escape(title)}\n(.*?)```", PAGE, re.DOTALL)
    assert len(found) == 1, title
    text: str = found[0]
    return text


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip where a program is missing."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [each for each in programs if not shutil.which(each, path=path)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


class Place:
    """Addresses of loopback with port 53, instead of those of the page; ports of 127.0.0.1 for the others."""

    def __init__(self) -> None:
        net = f"127.{random.randint(64, 250)}.{random.randint(1, 250)}"
        self.ours = (f"{net}.1", f"{net}.2")
        self.parent, self.resolver = free_port(), free_port()

    def moved(self, text: str) -> str:
        """Put the addresses of loopback in for those of the page."""
        for documented, own in zip(DOCUMENTED, self.ours, strict=True):
            text = text.replace(documented, own)
        return text


@pytest.fixture(name="place")
def _place() -> Iterator[Place]:
    """Answer ``dyn.example.com`` on both addresses."""
    place = Place()
    where = zones({"dyn.example.com.": place.moved(ZONE)})
    try:
        with Ours(where, DnsSettings(tuple(f"{each}:53" for each in place.ours))):
            yield place
    except ListenFailed as failed:
        pytest.skip(str(failed))


@contextlib.contextmanager
def running(folder: Path, *words: str) -> Iterator[None]:
    """Run a server in the foreground."""
    environ = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    with (folder / f"{Path(words[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder, env=environ)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def ask(port: int, name: str) -> dns.message.Message | None:
    """Ask a resolver for addresses; None without an answer."""
    try:
        return dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", port=port, timeout=1)
    except (OSError, dns.exception.DNSException):
        return None


def resolves(port: int, name: str, expected: str) -> bool:
    """Say whether a name resolves there."""
    answer = ask(port, name)
    return answer is not None and [expected] == [rdata.to_text() for rrset in answer.answer for rdata in rrset]


def named(folder: Path, port: int, more: str, options: str = "recursion no;") -> list[str]:
    """Write the configuration of BIND around that of the page, and return what starts it."""
    (folder / "named.conf").write_text(
        f"""options {{ directory "{folder}"; pid-file none; session-keyfile none; dnssec-validation no;
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; notify no; empty-zones-enable no; {options}
}};
controls {{ }};
{more}"""
    )
    return ["/usr/sbin/named", "-g", "-n", "1", "-c", str(folder / "named.conf")]


def unbound(folder: Path, port: int, more: str) -> list[str]:
    """Write the configuration of Unbound around that of the page, and return what starts it."""
    (folder / "unbound.conf").write_text(
        f"""server:
    interface: 127.0.0.1
    port: {port}
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    outgoing-interface: 127.0.0.1
    do-ip6: no
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    num-threads: 1
    module-config: "iterator"
remote-control:
    control-enable: no
{more}"""
    )
    return ["/usr/sbin/unbound", "-d", "-p", "-c", str(folder / "unbound.conf")]


def stub(place: Place) -> str:
    """Send a resolver to the parent for ``example.com``."""
    return f'stub-zone:\n    name: "example.com"\n    stub-addr: 127.0.0.1@{place.parent}\n'


def parent_zone(folder: Path, place: Place, delegation: str) -> None:
    """Write the parent's zone."""
    (folder / "example.com.zone").write_text(PARENT + delegation)


def bind_parent(folder: Path, place: Place) -> list[str]:
    parent_zone(folder, place, place.moved(block("the delegation")))
    return named(folder, place.parent, 'zone "example.com" { type primary; file "example.com.zone"; };\n')


def powerdns_parent(folder: Path, place: Place) -> list[str]:
    parent_zone(folder, place, place.moved(block("the delegation")))
    (folder / "bind.conf").write_text(f'zone "example.com" {{ file "{folder}/example.com.zone"; }};\n')
    (folder / "pdns.conf").write_text(
        f"launch=bind\nsecurity-poll-suffix=\nbind-config={folder}/bind.conf\nlocal-address=127.0.0.1\nlocal-port={place.parent}\n"
        f"socket-dir={folder}\n"
    )
    return ["/usr/sbin/pdns_server", f"--config-dir={folder}", "--daemon=no", "--guardian=no"]


def knot_parent(folder: Path, place: Place) -> list[str]:
    parent_zone(folder, place, "")
    (folder / "knot.conf").write_text(
        f'server:\n    rundir: "{folder}"\n    listen: 127.0.0.1@{place.parent}\n    udp-workers: 1\n    tcp-workers: 1\n'
        f'database:\n    storage: "{folder}"\n'
        f'zone:\n  - domain: example.com\n    storage: "{folder}"\n    file: example.com.zone\n'
    )
    return ["/usr/sbin/knotd", "-c", str(folder / "knot.conf")]


def delegate_with_knotc(folder: Path, place: Place) -> None:
    """Run the lines of the page."""
    for line in place.moved(block("the delegation with knotc")).splitlines():
        words = [*line.replace("knotc", f"/usr/sbin/knotc -s {folder}/knot.sock", 1).split()]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=10)
        assert done.returncode == 0, done.stdout + done.stderr


PARENTS: dict[str, Callable[[Path, Place], list[str]]] = {
    "named": bind_parent,
    "knotd": knot_parent,
    "pdns_server": powerdns_parent,
}


@needs("unbound")
@pytest.mark.parametrize("program", [pytest.param(each, marks=needs(each)) for each in PARENTS])
def test_a_parent_delegates_to_us_and_a_resolver_follows(program: str, tmp_path: Path, place: Place) -> None:
    """The parent refers, the resolver asks us, our authority counts; what we deny it denies."""
    tmp_path.chmod(0o755)
    words = PARENTS[program](tmp_path, place)
    with running(tmp_path, *words):
        wait_until(lambda: resolves(place.parent, "ns.example.com", "127.0.0.1"), f"{program} answers")
        if program == "knotd":
            delegate_with_knotc(tmp_path, place)
        with running(tmp_path, *unbound(tmp_path, place.resolver, stub(place))):
            wait_until(lambda: resolves(place.resolver, "www.dyn.example.com", "192.0.2.80"), "it resolves")
            denied = ask(place.resolver, "nothing.dyn.example.com")
            assert denied is not None
            assert dns.rcode.NXDOMAIN == denied.rcode()


@needs("unbound")
def test_unbound_is_sent_straight_to_us(tmp_path: Path, place: Place) -> None:
    """A stub zone needs no delegation."""
    with running(tmp_path, *unbound(tmp_path, place.resolver, place.moved(block("unbound.conf")))):
        wait_until(lambda: resolves(place.resolver, "www.dyn.example.com", "192.0.2.80"), "it resolves")


@needs("named")
def test_bind_is_sent_straight_to_us(tmp_path: Path, place: Place) -> None:
    """A static stub zone needs no delegation."""
    options = "recursion yes; query-source address 127.0.0.1; allow-recursion { 127.0.0.0/8; };"
    words = named(tmp_path, place.resolver, place.moved(block("named.conf of a resolver")), options)
    with running(tmp_path, *words):
        wait_until(lambda: resolves(place.resolver, "www.dyn.example.com", "192.0.2.80"), "it resolves")


@needs("named-checkconf", "knotc", "nsd-checkconf")
def test_the_secondaries_take_their_configuration(tmp_path: Path) -> None:
    """Each server's own checker reads it; that they follow is shown by tests/cluster/test_secondaries.py."""
    for title, words in {
        "named.conf of a secondary": ["/usr/bin/named-checkconf"],
        "knot.conf of a secondary": ["/usr/sbin/knotc", "conf-check", "-c"],
        "nsd.conf of a secondary": ["/usr/sbin/nsd-checkconf"],
    }.items():
        path = tmp_path / title.replace(" ", "-")
        path.write_text(block(title))
        order = [words[0], "-c", str(path), "conf-check"] if "knotc" in words[0] else [*words, str(path)]
        done = subprocess.run(order, check=False, capture_output=True, text=True, timeout=10)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_keys_of_the_table_are_those_of_the_file() -> None:
    """Every key of [dns] has its row, and no row is of a key that there is not."""
    from node.config.schema import DnsTable

    rows = re.findall(r"^\| (`[^|]+) \|", PAGE.split("## Dynamic")[0], re.MULTILINE)
    named_keys = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert set(DnsTable.model_fields) - {"default_ttl"} == named_keys


def test_the_configurations_are_accepted(tmp_path: Path) -> None:
    """Both examples, in one file of a cluster that has their secrets."""
    for secret in ("tsig-certbot", "tsig-xfr"):
        (tmp_path / secret).write_text(TSIG_SECRET)
        (tmp_path / secret).chmod(0o600)
    for title in ("cluster.toml for updates", "cluster.toml for secondaries"):
        (tmp_path / "cluster.toml").write_text(block(title))
        assert () == load(tmp_path / "cluster.toml", {}).warnings


@needs("nsupdate", "knsupdate", "openssl")
def test_the_updates_are_made(tmp_path: Path) -> None:
    """The lines of the page, with our address for theirs."""
    subprocess.run(block("a secret"), shell=True, check=True, cwd=tmp_path, timeout=10)
    more = block("cluster.toml for updates").replace("198.51.100.1:53", "127.0.0.1:{port}")
    zone = '\n[[zones]]\nname = "example.com"\nnameservers = ["ns.example.net"]\n'
    with Process(tmp_path, more + zone) as node:
        lines = block("an update with nsupdate, and one with knsupdate")
        lines = lines.replace("198.51.100.1 53", f"127.0.0.1 {node.port}")

        def seeded() -> bool:
            asked = dns.message.make_query("example.com.", "SOA")
            return bool(dns.query.udp(asked, "127.0.0.1", port=node.port, timeout=5).answer)

        wait_until(seeded, "the zone is there")
        for line in lines.splitlines():
            done = subprocess.run(
                line, shell=True, check=False, capture_output=True, text=True, cwd=tmp_path, timeout=30
            )
            assert (0, "") == (done.returncode, done.stderr), line
        for type_, expected in (("A", "192.0.2.7"), ("AAAA", "2001:db8::7")):
            asked = dns.message.make_query("web.dyn.example.com.", type_)
            answer = dns.query.udp(asked, "127.0.0.1", port=node.port, timeout=5)
            assert expected == answer.answer[0][0].address


def test_every_rfc_that_the_code_names_stands_in_the_table() -> None:
    """The table is not behind the code."""
    room = (ROOT / "node" / "dns").glob("*.py")
    cited = {number for path in room for number in re.findall(r"RFC (\d+)", path.read_text())}
    listed = set(re.findall(r"\d{4}", " ".join(re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE))))
    assert set() == cited - listed
