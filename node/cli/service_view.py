"""Services and endpoints as text: pure functions from the API's rows to lines and tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from node.cli import status_view
from node.cli.listing import age_column
from node.cli.output import Column, Printer
from node.cli.times import age_s, clock, short_span, span
from node.counted import counted

Json = Mapping[str, Any]

OVERRIDES = {"drain": "◌ drained", "up": "⚑ forced up", "down": "⚑ forced down"}
SELECTIONS = {
    "weighted": "all, in an order drawn by weight",
    "weighted-one": "one, drawn by weight",
    "sticky": "one, the same for a client's network",
    "site": "those at the answering node's site, all where there are none",
}
KEPT = "kept = no majority for the other verdict: the last one stays"


def show_list(status: Json, out: Printer) -> None:
    """Write the services of a status document for people."""
    out.table(status["services"], status_view.service_columns(status["pushes"]))


def parts(status: Json) -> dict[str, str]:
    """Return what may change of each service; for watching line by line."""
    return {key: text for key, text in status_view.parts(status).items() if key.startswith("service ")}


def is_about(event: Json, fqdn: str) -> bool:
    """Say whether an event belongs to a service."""
    return str(event.get("data", {}).get("service", "")).rstrip(".") == fqdn.rstrip(".")


def show(service: Json, nodes: Sequence[Json], events: Sequence[Json], out: Printer) -> None:
    """Write one service for people: definition, endpoints with votes, newest events."""
    out.heading("   ".join(_head(service)))
    seconds = {key: f"{service[f'{key}_ms'] / 1000:g}s" for key in ("interval", "timeout")}
    out.line(
        f"check  {service['check_text']}   every {seconds['interval']}   timeout {seconds['timeout']}   "
        f"rise {service['rise']}   fall {service['fall']}"
    )
    for line in settings(service):
        out.line(line)
    out.line()
    out.table(service["endpoints"], endpoint_columns(nodes))
    if any("(kept)" in verdict(each, nodes) for each in service["endpoints"]):
        out.line(KEPT)
    for line in operations(service):
        out.line(line)
    if events:
        out.line()
        out.heading("Events")
        out.table(events, event_columns())


def settings(service: Json) -> list[str]:
    """Write what is not as it is by default, one line each."""
    lines = []
    limit, failback = service.get("flap_limit"), service.get("failback", "auto")
    if limit:
        times = f"{counted(limit['changes'], 'change')} within {span(limit['per_ms'] / 1000)}"
        lines.append(f"flapping  {times}: out of DNS until steady for {span(limit['hold_ms'] / 1000)}")
    if service.get("selection", "all") != "all":
        lines.append(f"answers  {SELECTIONS[service['selection']]}")
    if service.get("separate_families"):
        lines.append("families  A and AAAA are judged separately")
    if failback == "after":
        lines.append(f"failback  after {span(service['failback_after_ms'] / 1000)} of being up")
    elif failback == "manual":
        lines.append(f"failback  by qdns endpoint failback '{service['fqdn']}/*'")
    return lines


def _head(service: Json) -> tuple[str, ...]:
    percent = service["fail_open_percent"]
    fail_open = "no fail-open" if percent == 100 else f"fail-open above {percent} % down"
    if service["fail_open"]:
        fail_open += ": in force now"
    types = " ".join(service["types"])
    words = (service["fqdn"], f"zone {service['zone']}", types, _ttl(service), service["mode"])
    return tuple(word for word in (*words, fail_open) if word)


def _ttl(service: Json) -> str:
    if not service.get("ttl_min"):
        return f"ttl {service['ttl']}"
    return f"ttl {service['ttl_now']} ({service['ttl_min']} to {service['ttl']})"


def endpoint_columns(nodes: Sequence[Json]) -> tuple[Column, ...]:
    """Return the columns of endpoints: one for each node's vote."""
    return (
        Column("ENDPOINT", lambda row: f"{row['address']} {row['name']}".strip()),
        Column("IN DNS", lambda row: "yes" if row["published"] else "no"),
        Column("VERDICT", lambda row: verdict(row, nodes)),
        *(_vote_column(node) for node in nodes),
        Column("PRIORITY", lambda row: row.get("priority", 1), right=True, wide=True),
        Column("WEIGHT", lambda row: row.get("weight", 1), right=True, wide=True),
        Column("REASON", lambda row: row.get("reason") or "-", wide=True),
    )


def verdict(endpoint: Json, nodes: Sequence[Json]) -> str:
    """Write the cluster's verdict, for how long when it is bad news, and whether it is only kept."""
    word = endpoint["verdict"]
    override = endpoint.get("override")
    if override:
        return f"{OVERRIDES[override['kind']]}{_until(override)}"
    text = f"{status_view.VERDICTS.get(word, '◐')} {word}"
    if endpoint.get("wait"):
        text += f" ({waiting(endpoint['wait'])})"
    since_s = age_s(endpoint.get("since_at"))
    if word == "down" and since_s is not None:
        text += f" {short_span(since_s)}"
    return f"{text} (kept)" if _is_kept(endpoint, nodes) else text


def waiting(wait: Json) -> str:
    """Write what keeps an endpoint back, and until when."""
    word = "held" if wait["kind"] == "flapping" else "waits"
    return f"{word}{_until(wait)}" if wait.get("until_at") or word == "held" else "waits for failback"


def _until(row: Json) -> str:
    return f" until {clock(row['until_at'])}" if row.get("until_at") else ""


def operations(service: Json) -> list[str]:
    """Write what operators said of a service and its endpoints, one line each."""
    lines = []
    maintenance = service.get("maintenance")
    if maintenance:
        what = "stays in DNS as it is" if maintenance["active"] else f"from {clock(maintenance['from_at'])}"
        lines.append(f"maintenance: {what}{_until(maintenance)}{_said(maintenance)}")
    for endpoint in service["endpoints"]:
        override = endpoint.get("override")
        if override:
            words = f"{OVERRIDES[override['kind']]}{_until(override)}{_said(override)}"
            lines.append(f"{endpoint['address']}: {words}; the votes say {endpoint['verdict']}")
    return lines


def _said(row: Json) -> str:
    by = f", by {row['author']}" if row.get("author") else ""
    return f"{by}: {row['reason']}" if row.get("reason") else by


def _is_kept(endpoint: Json, nodes: Sequence[Json]) -> bool:
    """Say whether the votes of now would not be enough for the verdict."""
    if endpoint["verdict"] == "undecided":
        return False
    voters = endpoint.get("probe_from") or [node["name"] for node in nodes]
    is_up = endpoint["verdict"] == "up"
    agreeing = sum(vote["up"] == is_up for vote in endpoint["votes"] if vote["node"] in voters)
    return bool(2 * agreeing <= len(voters))


def _vote_column(node: Json) -> Column:
    name = node["name"]
    title = f"{name} {node['site']}" if node.get("site") else name
    return Column(title, lambda row: _vote(next((v for v in row["votes"] if v["node"] == name), None)))


def _vote(vote: Json | None) -> str:
    if vote is None:
        return "· no vote"
    if vote["up"]:
        return f"▲ {vote['latency_ms']} ms"
    return f"▼ {vote['evidence'] or 'down'}"


def votes_summary(endpoint: Json) -> str:
    """Write all votes in short: ``▲ns1 ▲ns2 ▼ns3``."""
    return " ".join(f"{'▲' if vote['up'] else '▼'}{vote['node']}" for vote in endpoint["votes"]) or "-"


def _listed_verdict(row: Json) -> str:
    override = row.get("override")
    if override:
        return OVERRIDES[override["kind"]]
    return f"{status_view.VERDICTS.get(row['verdict'], '◐')} {row['verdict']}"


def listed_columns() -> tuple[Column, ...]:
    """Return the columns of endpoints across services."""
    return (
        Column("SERVICE", lambda row: row["service"]),
        Column("ENDPOINT", lambda row: row["address"]),
        Column("IN DNS", lambda row: "yes" if row["published"] else "no"),
        Column(
            "VERDICT",
            _listed_verdict,
            raw=lambda row: row["verdict"],
        ),
        Column("VOTES", votes_summary),
        age_column("SINCE", "since_at"),
        Column("NAME", lambda row: row.get("name") or "-", wide=True),
        Column("PRIORITY", lambda row: row.get("priority", 1), right=True, wide=True),
        Column("WEIGHT", lambda row: row.get("weight", 1), right=True, wide=True),
        Column("REASON", lambda row: row.get("reason") or "-", wide=True),
    )


def event_columns() -> tuple[Column, ...]:
    """Return the columns of events."""
    return (
        Column("TIME", lambda row: clock(row["at"]), raw=lambda row: row["at"]),
        Column("INDEX", lambda row: row["index"], right=True),
        Column("KIND", lambda row: row["kind"]),
        Column("SUBJECT", lambda row: row["subject"]),
        Column("TEXT", lambda row: row["text"], flexible=True),
        Column("WHO", lambda row: row.get("actor") or "-", wide=True),
        Column("WHY", lambda row: row.get("reason") or "-", wide=True),
    )
