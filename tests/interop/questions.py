"""Several hundred questions: every situation of the zones, with every type that matters to it."""

# ruff: noqa: SIM905 - words read better than a list of quoted words

from itertools import product

from tests.interop.comparison import Ask

_TYPES = ("A", "AAAA", "MX", "TXT", "CNAME", "NS", "SOA", "DS", "SRV", "TYPE65282")
_SITUATIONS = """
@ www WwW nothing x.www mail alias alias2 alias3 out over overgone overalias gone nodata toent towild tosub tosubtop tochild
todname loop1 loop2 self wildself apexalias ent b.ent a.b.ent x.ent x.b.ent q.a.b.ent b2.ent2 q.b2.ent2 ent2
wild q.wild r.q.wild *.wild host.wild x.host.wild blocked.wild q.blocked.wild x.blocked.wild deleg.wild x.deleg.wild
q.cwild cwild *.cwild q.cwildgone q.cwildout mid *.mid star.*.mid q.star.*.mid q.star.r.mid x.mid q.in.sub twice q.twice r.q.twice
*.twice q.*.twice below x.below *.below txt.*.below y.*.below txt.y.below
sub x.sub ns.sub below.sub lame x.lame sibling x.sibling deep within.deep deep.within.cut x.deep.within.cut within.cut cut
cname-ns x.cname-ns child www.child x.child up.child grand.child x.grand.child child.child
tree x.tree y.tree alias.tree x.y.tree faraway host.faraway gone.faraway alias.faraway outside x.outside grow x.grow
toolong x.toolong indeleg x.indeleg orphan www.orphan x.orphan orphanage deep.orphanage www.deep.orphanage
mxcut mxwild mxalias mxfar mxnull mxmany nsdata svc svc2 svc3 svc4 zero mixed MIXED a\\.b sp\\032ace nul\\000l high\\255 under_score
""".split()
_RARE = "HINFO RP LOC SSHFP TLSA NAPTR URI CERT OPENPGPKEY EUI48 EUI64 CDS TYPE65280 TYPE65281 PTR KX AFSDB CAA HTTPS SVCB DNAME RRSIG NSEC DNSKEY".split()
_SIGNED = """
@ www nothing x.www alias gone out towild ent b.ent a.b.ent x.ent q.wild r.q.wild *.wild host.wild x.host.wild blocked.wild
q.blocked.wild q.cwild secure x.secure ns.secure insecure x.insecure cut deep.insecure2.cut insecure2.cut x.insecure2.cut x.deep.insecure2.cut x.cut tree x.tree
host.tree intosecure intoinsecure zzz 0
""".split()
_SERVICES = ("_sip", "_none", "_far", "_cut", "_alias", "_wild", "_gone")
_SIZES = ("six TXT", "thirty A", "seventy A", "ninety A", "mxmore MX", "heavy NS", "x.heavy A")
_LONG = ".".join(["l" * 60] * 3)


def _at(label: str, zone: str) -> str:
    return f"{zone}." if label == "@" else f"{label}.{zone}."


def _main() -> list[Ask]:
    asks = [Ask(_at(label, "example.test"), type_) for label, type_ in product(_SITUATIONS, _TYPES)]
    asks += [Ask(_at(label, "example.test"), "A", edns=4096, rd=True) for label in _SITUATIONS]
    asks += [Ask(_at(label, "example.test"), "A", edns=1232, do=True) for label in _SITUATIONS]
    asks += [Ask(_at(label, "example.test"), "A", tcp=True) for label in _SITUATIONS]
    asks += [
        Ask(_at(label, "example.test"), type_)
        for label, type_ in product(
            ("all", "@", "svc", "svc2", "svc3", "svc4", "tree", "x.tree", "outside"), _RARE
        )
    ]
    asks += [Ask(f"{service}._tcp.example.test.", "SRV") for service in _SERVICES]
    asks += [
        Ask(name, "A") for name in (f"{'q' * 63}.{'q' * 50}.toolong.example.test.", f"x.{_LONG}.example.test.")
    ]
    asks += _sizes() + _other_zones() + _outside()
    asks += [
        Ask(_at(label, zone), type_, edns=1232, do=do)
        for zone, label, type_, do in product(
            ("nsec.test", "nsec3.test", "optout.test"),
            _SIGNED,
            ("A", "MX", "DS", "NS", "NSEC", "SOA"),
            (True, False),
        )
    ]
    asks += [
        Ask(_at("@", zone), type_, edns=1232, do=True, tcp=True)
        for zone, type_ in product(
            ("nsec.test", "nsec3.test"), ("DNSKEY", "NSEC3PARAM", "RRSIG", "NSEC3", "CDS")
        )
    ]
    return asks


def _sizes() -> list[Ask]:
    variants = [
        (None, False),
        (512, False),
        (513, False),
        (700, False),
        (1200, False),
        (4096, False),
        (None, True),
        (1232, True),
    ]
    asks = []
    for question, (edns, tcp) in product(_SIZES, variants):
        label, type_ = question.split()
        asks.append(Ask(_at(label, "example.test"), type_, edns=edns, tcp=tcp))
    return asks


def _other_zones() -> list[Ask]:
    names = (
        "other.test. ns.other.test. alias.other.test. back.other.test. q.any.other.test. dname.test. www.dname.test. alias.dname.test. "
        "q.wild.dname.test. x.y.z.dname.test. 2.0.192.in-addr.arpa. 1.2.0.192.in-addr.arpa. 3.2.0.192.in-addr.arpa. 99.2.0.192.in-addr.arpa. "
        "0/28.2.0.192.in-addr.arpa. 3.0/28.2.0.192.in-addr.arpa."
    ).split()
    return [Ask(name, type_) for name, type_ in product(names, ("A", "PTR", "NS", "SOA", "DS", "DNAME", "MX"))]


def _outside() -> list[Ask]:
    asks = [
        Ask(name, type_)
        for name, type_ in product(
            (".", "test.", "com.", "www.example.com.", "in-addr.arpa.", "xexample.test."),
            ("A", "NS", "SOA", "DS"),
        )
    ]
    asks += [
        Ask(name, "TXT", class_="CH")
        for name in (
            "version.bind.",
            "version.server.",
            "id.server.",
            "hostname.bind.",
            "other.bind.",
            "www.example.test.",
        )
    ]
    asks += [Ask("www.example.test.", "A", class_=class_) for class_ in ("HS", "ANY", "NONE", "CLASS77")]
    asks += [
        Ask("www.example.test.", type_)
        for type_ in ("AXFR", "MAILA", "MAILB", "TYPE128", "TKEY", "OPT", "TYPE0")
    ]
    return asks


MAIN = list(dict.fromkeys(_main()))
ROOT = [
    Ask(name, type_, edns=edns)
    for name, type_, edns in product(
        (
            ".",
            "com.",
            "www.com.",
            "a.gtld.com.",
            "net.",
            "x.net.",
            "single.",
            "nothing.",
            "x.nothing.",
            "q.wild.",
            "wild.",
            "arpa.",
            "x.arpa.",
            "a.root.",
            "root.",
        ),
        ("A", "NS", "SOA", "DS", "MX"),
        (None, 1232),
    )
]
