"""``qdns query``: ask our own name servers, one or all of them."""

import click

from node.cli.changes import Json
from node.cli.faults import ExitCode, Failure, usage
from node.cli.group import Command
from node.cli.options import client_options
from node.cli.output import Column, table_lines
from node.cli.session import Session

COLUMNS = (
    Column("NODE", lambda row: row["node"]),
    Column("RCODE", lambda row: row["rcode"] or "-"),
    Column("SERIAL", lambda row: "-" if row["serial"] is None else row["serial"], right=True),
    Column("ANSWER", lambda row: row["error"] or " ".join(_datas(row)) or "-", flexible=True),
    Column("TIME", lambda row: "" if row["time_ms"] is None else f"{row['time_ms']} ms", right=True),
    Column("SERVER", lambda row: row["server"] or "-", wide=True),
)

RECORD_COLUMNS = (
    Column("NAME", lambda each: each["name"]),
    Column("TTL", lambda each: each["ttl"], right=True),
    Column("TYPE", lambda each: each["type"]),
    Column("DATA", lambda each: each["data"]),
)


@click.command(cls=Command, example="qdns query www.example.org\nqdns query www.example.org AAAA --all")
@click.argument("name")
@click.argument("words", nargs=-1, metavar="[TYPE] [@NODE]")
@click.option("--all", "asks_all", is_flag=True, help="Ask every node and compare; exit 12 when they differ.")
@click.option("--tcp", is_flag=True, help="Ask by TCP only.")
@client_options
@click.pass_obj
def query(session: Session, name: str, words: tuple[str, ...], asks_all: bool, tcp: bool) -> int:
    """Ask our own servers for a name, as a resolver would."""
    type_, wanted = _read_words(words)
    status = session.client.get("/v1/status")
    rows = [_ask(session, node, name, type_, tcp=tcp) for node in _chosen(status, wanted, asks_all=asks_all)]
    if asks_all:
        return _compare(session, rows, _zone_of(status, name))
    _write(session, rows[0])
    return ExitCode.DONE


def _read_words(words: tuple[str, ...]) -> tuple[str, str | None]:
    """Tell the type from the node, in any order. Raises ``Failure``."""
    nodes = [word[1:] for word in words if word.startswith("@")]
    types = [word.upper() for word in words if not word.startswith("@")]
    if len(nodes) > 1 or len(types) > 1:
        raise usage("a query has one name, one type and one @NODE", "qdns query www.example.org AAAA @ns2")
    return types[0] if types else "A", nodes[0] if nodes else None


def _chosen(status: Json, wanted: str | None, *, asks_all: bool) -> list[Json]:
    """Return the nodes to ask. Raises ``Failure``."""
    nodes: list[Json] = status["nodes"]
    if asks_all:
        return nodes
    chosen = [node for node in nodes if node["name"] == (wanted or status["node"])]
    if not chosen:
        names = ", ".join(node["name"] for node in nodes)
        raise Failure(f'no node "{wanted}" in this cluster', ExitCode.NOT_FOUND, hint=f"one of: {names}")
    return chosen


def _zone_of(status: Json, name: str) -> str | None:
    wanted = name.lower().rstrip(".")
    holding = [each["zone"] for each in status["zones"] if f".{wanted}".endswith(f".{each['zone']}")]
    return max(holding, key=len, default=None)


def _ask(session: Session, node: Json, name: str, type_: str, *, tcp: bool) -> Json:
    """Ask one node; what goes wrong stands in the row. Raises ``Failure`` for a question that cannot be asked."""
    from node.cli.asking import ask

    known: Json = {"node": node["name"], "serial": None}
    if node.get("dns"):
        return known | ask(node["dns"][0], name, type_, session.timeout_s, tcp=tcp)
    error = node.get("error") or "answers no DNS"
    empty: Json = {"server": None, "rcode": None, "flags": "", "answer": [], "authority": [], "time_ms": None}
    return known | empty | {"error": error}


def _datas(row: Json) -> list[str]:
    return [each["data"] for each in row["answer"]]


def _write(session: Session, row: Json) -> None:
    """Write one answer the way kdig does. Raises ``Failure`` when there was none."""
    if row["error"]:
        message = f"{row['node']} did not answer: {row['error']}"
        raise Failure(message, ExitCode.UNREACHABLE, hint="qdns query NAME --all")
    out = session.out
    if not out.is_for_people:
        out.document(row)
        return
    flags = row["flags"].lower()
    out.line(f";; {row['rcode']}   {flags}   {row['node']} {row['server']}   {row['time_ms']} ms")
    lines = row["answer"] or row["authority"]
    if not row["answer"]:
        out.line(";; no records" + ("; authority:" if lines else ""))
    if lines:
        for text in table_lines(lines, RECORD_COLUMNS, out.terminal, headers=False):
            out.write(text)


def _compare(session: Session, rows: list[Json], zone: str | None) -> int:
    """Write all answers below each other and say whether they agree. Raises ``Failure`` without any."""
    from node.cli.asking import serial_of

    answered = [row for row in rows if not row["error"]]
    if zone is not None:
        for row in answered:
            row["serial"] = serial_of(row["server"], zone, session.timeout_s)
    if not answered:
        facts = [f"{row['node']}  {row['error']}" for row in rows]
        raise Failure("no node answered", ExitCode.UNREACHABLE, facts=facts, hint="qdns status")
    session.out.rows(rows, COLUMNS, lambda row: str(row["node"]))
    agree = len({(row["rcode"], *sorted(_datas(row))) for row in answered}) == 1
    if session.out.is_for_people:
        session.out.line("all answering nodes agree" if agree else "! the nodes differ")
    return ExitCode.DONE if agree else ExitCode.DIFFERENT
