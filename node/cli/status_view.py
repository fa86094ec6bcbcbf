"""``qdns status`` as text: pure functions from the status document to lines and tables."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from node.cli.listing import age_column, state_column
from node.cli.output import Column, Printer
from node.cli.times import age_s, grouped, span

Json = Mapping[str, Any]

NODE_STATES: dict[str, str] = {"ready": "● ready", "starting": "◐ starting", "unreachable": "✕ unreachable"}
VERDICTS = {"up": "●", "down": "✕", "undecided": "◐"}
PUSH_STATES: dict[str, str] = {
    "synced": "● synced",
    "behind": "! behind",
    "failing": "✕ failing",
    "idle": "-",
    "held": "✕ held",
    "paused": "! paused",
}
_PUSH_ORDER = ("held", "failing", "paused", "behind", "synced")


def or_dash(value: object) -> str:
    """Write a value, a dash for none."""
    return "-" if value is None or value == "" else str(value)


def _uptime(node: Json) -> str:
    seconds = age_s(node.get("started_at"))
    return "-" if seconds is None else span(seconds)


def _lag(node: Json) -> str:
    if node.get("role") == "leader":
        return "-"
    away_s = age_s(node.get("since_at"))
    text = or_dash(node.get("lag_entries"))
    return text if away_s is None else f"{text} ({span(away_s)})"


def _role(row: Json) -> str:
    """Write leader, follower or candidate; of a node that does not vote, what it is instead."""
    part = row.get("part", "voter")
    return or_dash(row.get("role")) if part == "voter" else str(part)


def _number(title: str, key: str) -> Column:
    return Column(title, lambda row: or_dash(row.get(key)), right=True, raw=lambda row: row.get(key))


def node_columns(own: str) -> tuple[Column, ...]:
    """Return the columns of the nodes; the node that answered, ``own``, gets a star."""
    return (
        Column("NODE", lambda row: f"{row['name']} *" if row["name"] == own else row["name"]),
        Column("SITE", lambda row: or_dash(row.get("site"))),
        Column("ROLE", _role, raw=lambda row: row.get("role")),
        state_column(NODE_STATES),
        _number("TERM", "term"),
        _number("COMMIT", "commit_index"),
        _number("APPLIED", "applied_index"),
        Column("LAG", _lag, right=True, raw=lambda row: row.get("lag_entries")),
        Column("VERSION", lambda row: or_dash(row.get("version"))),
        Column("FORMAT", lambda row: or_dash(row.get("reads_format")), right=True, wide=True),
        Column("UPTIME", _uptime, wide=True, raw=lambda row: row.get("started_at")),
        Column("DIGEST", lambda row: or_dash(row.get("state_digest"))[:12], wide=True),
        Column("DNS", lambda row: ",".join(row.get("dns") or ()) or "-", wide=True),
        Column("API", lambda row: or_dash(row.get("api")), wide=True),
        Column("ERROR", lambda row: or_dash(row.get("error")), wide=True),
    )


def verdict_summary(service: Json) -> str:
    """Write how the endpoints of a service are: ``● 2 up  ✕ 1 down  ◌ 1 standby``."""
    counts = Counter(_word(service, endpoint) for endpoint in service["endpoints"])
    order = ("up", "down", "undecided", "standby", "flapping", "waiting", "drained", "forced up", "forced down")
    return "  ".join(
        f"{VERDICTS.get(word, '⚑' if word.startswith('forced') else '◌')} {counts[word]} {word}"
        for word in order
        if counts[word]
    )


def _word(service: Json, endpoint: Json) -> str:
    override = endpoint.get("override")
    if override:
        return {"drain": "drained", "up": "forced up", "down": "forced down"}[override["kind"]]
    if endpoint.get("reason") in ("flapping", "waiting"):
        return str(endpoint["reason"])
    is_held_back = service.get("mode") == "active-standby" and not endpoint["published"]
    return "standby" if endpoint["verdict"] == "up" and is_held_back else str(endpoint["verdict"])


def in_dns(service: Json) -> str:
    """Write how many of the endpoints are published."""
    text = f"{len(service['published'])} of {len(service['endpoints'])}"
    maintenance = service.get("maintenance")
    if maintenance and maintenance["active"]:
        return f"{text} (maintenance)"
    return f"{text} (fail-open)" if service.get("fail_open") else text


def push_summary(zone: str, pushes: Iterable[Json]) -> str:
    """Write the worst state among the targets that get a zone."""
    return PUSH_STATES[push_state(zone, pushes)]


def push_state(zone: str, pushes: Iterable[Json]) -> str:
    """Return the worst state among the targets that get a zone."""
    states = {push["state"] for push in pushes if zone in push["zones"]}
    return next((word for word in _PUSH_ORDER if word in states), "idle")


def service_columns(pushes: Iterable[Json]) -> tuple[Column, ...]:
    """Return the columns of the services."""
    known = list(pushes)
    return (
        Column("SERVICE", lambda row: row["fqdn"]),
        Column("TYPE", lambda row: " ".join(row["types"]) or "-"),
        Column("IN DNS", in_dns),
        Column("VERDICTS", lambda row: verdict_summary(row) or "-"),
        Column(
            "PUSH", lambda row: push_summary(row["zone"], known), raw=lambda row: push_state(row["zone"], known)
        ),
        age_column("CHANGED", "changed_at"),
        Column("TTL", lambda row: row["ttl"], right=True, wide=True),
        Column("MODE", lambda row: row["mode"], wide=True),
        Column("ZONE", lambda row: row["zone"], wide=True),
    )


def headline(status: Json) -> str:
    """Write the cluster's state in one line."""
    ready = sum(node["state"] == "ready" for node in status["nodes"])
    nodes = f"{ready} of {len(status['nodes'])} nodes"
    if not status["quorum"]:
        answering = f"answering DNS from commit {grouped(status['commit_index'])}, writes refused"
        return "   ".join((status["cluster"], "NO QUORUM", "no leader", nodes, answering))
    leader = f"leader {status['leader']} (term {status['term']})" if status["leader"] else "no leader yet"
    committed = f"{grouped(status['commit_index'])} committed"
    return "   ".join((status["cluster"], status["health"], leader, f"{nodes}, quorum held", committed))


def problem_lines(problems: Iterable[Json], width_max: int | None = None) -> list[str]:
    """Write the problems, each with the command that leads on: beside it, or below it where that is too wide."""
    rows = [(str(each["text"]), " ".join(each.get("next") or ())) for each in problems]
    width = max((len(text) for text, following in rows if following), default=0)
    longest = max((width + len(following) for _, following in rows), default=0) + len("#    -> ")
    below = width_max is not None and longest > width_max
    lines = []
    for text, following in rows:
        if not following:
            lines.append(f"#  {text}")
        elif below:
            lines += [f"#  {text}", f"#    -> {following}"]
        else:
            lines.append(f"#  {text.ljust(width)}  -> {following}")
    return lines


def show(status: Json, out: Printer) -> None:
    """Write the whole status for people."""
    out.heading(headline(status))
    out.line()
    out.table(status["nodes"], node_columns(status["node"]))
    if status["services"]:
        out.line()
        out.table(status["services"], service_columns(status["pushes"]))
    if status["problems"]:
        out.line()
        out.heading("# Problems")
        for line in problem_lines(status["problems"], out.terminal.width):
            out.line(line)


def parts(status: Json) -> dict[str, str]:
    """Return what may change, by what it is about; for watching line by line."""
    seen = {"cluster": f"{status['health']}  leader {status['leader'] or '-'}  term {status['term']}"}
    for node in status["nodes"]:
        seen[f"node {node['name']}"] = NODE_STATES.get(node["state"], node["state"])
    for service in status["services"]:
        seen[f"service {service['fqdn']}"] = f"{in_dns(service)} in DNS  {verdict_summary(service)}"
    for push in status["pushes"]:
        seen[f"push {push['target']}"] = PUSH_STATES.get(push["state"], push["state"])
    return seen


def nagios(status: Json) -> tuple[str, int]:
    """Return the line of a monitoring plug-in with its performance data, and the plug-in's exit code."""
    words = {"healthy": ("OK", 0), "degraded": ("WARNING", 1), "critical": ("CRITICAL", 2)}
    word, code = words.get(status["health"], ("UNKNOWN", 3))
    nodes = status["nodes"]
    ready = sum(node["state"] == "ready" for node in nodes)
    endpoints = [each for service in status["services"] for each in service["endpoints"]]
    down = sum(each["verdict"] == "down" for each in endpoints)
    behind = sum(push["state"] in ("behind", "failing", "held") for push in status["pushes"])
    lag = max((node.get("lag_entries") or 0 for node in nodes), default=0)
    said = f"{status['cluster']} {status['health']}, leader {status['leader'] or 'none'}, {ready}/{len(nodes)} nodes"
    first = f", {status['problems'][0]['text']}" if status["problems"] else ""
    data = (
        f"nodes_ready={ready};;;0;{len(nodes)} endpoints_down={down};;;0;{len(endpoints)} "
        f"pushes_behind={behind};;;0;{len(status['pushes'])} lag_entries={lag};;;0"
    )
    return f"QDNS {word} - {said}{first} | {data}".replace("\n", " "), code
