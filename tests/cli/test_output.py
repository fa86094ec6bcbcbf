"""Every command's output, piped, without colour: compared to the letter with golden files."""

import shlex

import pytest

from tests.cli.conftest import Qdns, Serve, require_golden
from tests.cli.fake import DATA, FakeNode

CASES = {
    "status_degraded": ("degraded", "status"),
    "status_healthy": ("healthy", "status"),
    "status_no_quorum": ("no_quorum", "status"),
    "status_wide": ("degraded", "status -o wide"),
    "status_json": ("healthy", "status --json"),
    "status_csv": ("degraded", "status -o csv"),
    "status_nagios": ("degraded", "status --nagios"),
    "status_nagios_healthy": ("healthy", "status --nagios"),
    "services": ("degraded", "services"),
    "service_list_csv": ("degraded", "service list -o csv"),
    "service_list_name": ("degraded", "service list -o name"),
    "service_show": ("degraded", "service show www.example.com"),
    "service_show_standby": ("healthy", "service show api.example.com -o wide"),
    "service_create": (
        "degraded",
        "service create new.example.com 192.0.2.30 --check 'http://{}:80/' --ttl 1m --interval 500ms",
    ),
    "service_create_exists": (
        "degraded",
        "service create www.example.com 192.0.2.30 --check 'http://{}:80/'",
    ),
    "service_delete": ("degraded", "service delete www.example.com --yes"),
    "service_delete_unasked": ("degraded", "service delete www.example.com"),
    "endpoints": ("degraded", "endpoints"),
    "endpoint_list": ("degraded", "endpoint list api.example.com -o wide"),
    "endpoint_add": ("degraded", "endpoint add www.example.com 192.0.2.12 --priority 2"),
    "endpoint_remove": ("degraded", "endpoint rm www.example.com 192.0.2.11"),
    "records": ("degraded", "records"),
    "record_list_zone": ("degraded", "record list example.net --no-headers"),
    "record_list_csv": ("degraded", "record list example.com -o csv"),
    "record_list_name": ("degraded", "record list example.com -o name"),
    "record_list_jsonl": ("degraded", "record list example.com -o jsonl"),
    "record_get": ("degraded", "record get www.example.com"),
    "record_get_type": ("degraded", "record get www.example.net A"),
    "record_get_nothing": ("degraded", "record get nothing.example.com"),
    "record_get_elsewhere": ("degraded", "record get www.elsewhere.test"),
    "record_set": ("degraded", "record set www.example.net a 192.0.2.1 192.0.2.2 --ttl 60"),
    "record_set_new": ("degraded", "record set new.example.net A 192.0.2.1"),
    "record_set_json": ("degraded", "record set new.example.net A 192.0.2.1 --json"),
    "record_add": ("degraded", "record add www.example.net A 192.0.2.3"),
    "record_rm": ("degraded", "record rm www.example.net A"),
    "record_rm_value": ("degraded", "record remove www.example.net A 192.0.2.1"),
    "record_rm_gone": ("degraded", "record rm gone.example.net A"),
    "zones": ("degraded", "zones"),
    "zone_show": ("degraded", "zone show example.com"),
    "zone_create": ("degraded", "zone create example.org --ns ns1.example.org --default-ttl 1h"),
    "zone_delete": ("degraded", "zone delete example.com -y"),
    "zone_show_unknown": ("degraded", "zone show example.info"),
    "push_list": ("degraded", "push list -o wide"),
    "push_show": ("degraded", "push show desec"),
    "push_diff": ("degraded", "push diff desec"),
    "push_diff_nothing": ("degraded", "push diff knot-eu"),
    "push_diff_json": ("degraded", "push diff desec --json"),
    "push_diff_unknown": ("degraded", "push diff nowhere"),
    "push_pause": ("degraded", "push pause desec --reason migration"),
    "push_resume": ("degraded", "push resume desec"),
    "push_refresh": ("degraded", "push refresh desec"),
    "push_release": ("degraded", "push release desec"),
    "log_level": ("degraded", "log level"),
    "log_level_debug": ("degraded", "log level debug"),
    "notify_list": ("degraded", "notify list -o wide"),
    "notify_test": ("degraded", "notify test ops"),
    "nodes": ("degraded", "nodes"),
    "node_show": ("degraded", "node show ns3"),
    "node_show_ready": ("degraded", "node show ns2"),
    "node_show_unknown": ("degraded", "node show ns9"),
    "plan": ("degraded", "plan -f {data}/cluster.toml"),
    "plan_json": ("degraded", "plan -f {data}/cluster.toml --prune --json"),
    "plan_nothing": ("healthy", "plan -f {data}/cluster.toml"),
    "apply": ("degraded", "apply -f {data}/cluster.toml --yes --reason 'new servers'"),
    "apply_unasked": ("degraded", "apply -f {data}/cluster.toml"),
    "apply_nothing": ("healthy", "apply -f {data}/cluster.toml"),
    "tokens": ("degraded", "tokens"),
    "token_list_csv": ("degraded", "token list -o csv"),
    "token_create_exists": ("degraded", "token create grafana --scope read"),
    "token_revoke": ("degraded", "token revoke ci --yes"),
    "token_revoke_unasked": ("degraded", "token revoke ci"),
    "events": ("degraded", "events"),
    "event_list_service": ("degraded", "event list --service www.example.com --since 5m -o wide"),
    "event_list_few": ("degraded", "event list -n 2 -o name"),
    "event_show": ("degraded", "event show 48190.2"),
    "event_show_unknown": ("degraded", "event show 48191"),
    "event_show_word": ("degraded", "event show yesterday"),
    "event_list_when": ("degraded", "event list --since yesterday"),
    "config_check": ("degraded", "config check -c {data}/cluster.toml --node ns2"),
    "config_check_broken": ("degraded", "config check -c {data}/broken.toml"),
    "config_check_json": ("degraded", "config check -c {data}/broken.toml --json"),
    "config_show": ("degraded", "config show -c {data}/cluster.toml --node ns2"),
    "config_show_origin": ("degraded", "config show --origin -c {data}/cluster.toml --node ns2"),
    "config_path": ("degraded", "config path -c {data}/cluster.toml"),
    "config_path_none": ("degraded", "config path"),
    "config_import": ("degraded", "config import {data}/rrdnsd.json"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_output_is_the_golden_one(name: str, qdns: Qdns, serve: Serve) -> None:
    """Piped, columns are never cut, there is no colour, and what was asked for is all there is."""
    scene, words = CASES[name]
    node = serve(scene)
    ran = qdns(*shlex.split(words.replace("{data}", str(DATA))))
    text = f"$ qdns {words}\n{ran.out}"
    if ran.err:
        text += f"--- standard error\n{ran.err}"
    text += f"--- exit {ran.code}\n" if ran.code else ""
    require_golden(name, _neutral(text, node))


def _neutral(text: str, node: FakeNode) -> str:
    """Put fixed words in for what differs from run to run."""
    return text.replace(node.url, "http://127.0.0.1:7380").replace(str(DATA), "{data}")
