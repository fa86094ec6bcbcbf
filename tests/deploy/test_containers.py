"""The container image, compose and Kubernetes examples fit one another and the program, as far as that shows offline."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from node.api.table import TABLE
from node.cli.main import main
from node.config import load

yaml = pytest.importorskip("yaml", reason="PyYAML is missing")
ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
KUBERNETES: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def accepts(words: list[str]) -> bool:
    """Say whether ``qdns`` knows the command and its options."""
    return main([*words, "--help"]) == 0


def loaded(folder: Path, text: str, secrets: str, node: str) -> Any:
    """Read a configuration with its secrets put beside it."""
    for name in ("raft-secret", "api-token"):
        (folder / name).write_text("a-secret-of-no-use-elsewhere-0123456789\n")
        (folder / name).chmod(0o600)
    (folder / "cluster.toml").write_text(text.replace(secrets, str(folder)))
    return load(folder / "cluster.toml", {}, node)


def test_the_image_copies_what_there_is() -> None:
    """What is copied exists, nothing that is needed to build is left out, and the last user is not root."""
    sources = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    for source in " ".join(sources).split():
        assert (ROOT / source).exists(), source
    assert {"pyproject.toml", "node", "raft", "LICENSE", "hatch_build.py"} <= set(" ".join(sources).split())
    assert ["65532:65532"] == re.findall(r"^USER (.+)$", CONTAINERFILE, re.MULTILINE)


def test_the_image_runs_commands_that_exist() -> None:
    """Entry point, command and health check are commands of ours."""
    assert 'ENTRYPOINT ["qdns"]' in CONTAINERFILE
    for found in re.findall(r"^(?:CMD|HEALTHCHECK .* CMD) \[(.+)\]$", CONTAINERFILE, re.MULTILINE):
        words = [each.strip().strip('"') for each in found.split(",")]
        assert accepts([word for word in words if word != "qdns"]), found


def test_the_image_is_built_with_its_health_check() -> None:
    """Podman leaves it out of images of its usual format, so everybody is told to build the other one."""
    told = CONTAINERFILE + (ROOT / "docs" / "install.md").read_text()
    assert {"--format docker"} == set(re.findall(r"podman build (.*?) -f deploy/Containerfile", told))


INSTRUCTIONS = {
    "ARG", "FROM", "RUN", "WORKDIR", "COPY", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD",
}  # fmt: skip


def test_the_image_is_written_as_its_builders_read_it() -> None:
    """Whole instructions of known kinds, each stage from a pinned minor version, ports and data where the others say."""
    joined = re.sub(r"\\\n\s*", "", CONTAINERFILE)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    assert INSTRUCTIONS == {line.partition(" ")[0] for line in lines}
    assert 1 == len(
        re.findall(r"^ARG BASE=docker\.io/library/python:3\.\d+-slim$", CONTAINERFILE, re.MULTILINE)
    )
    assert 2 == len(re.findall(r"^FROM \$\{BASE\}( AS \w+)?$", CONTAINERFILE, re.MULTILINE))
    copied = re.findall(r"^COPY --from=(\w+) (\S+) (\S+)$", CONTAINERFILE, re.MULTILINE)
    stages = re.findall(r"^FROM \S+ AS (\w+)$", CONTAINERFILE, re.MULTILINE)
    assert [(stages[0], "/opt/quorumdns", "/opt/quorumdns")] == copied
    for line in lines:
        if line.startswith(("ENTRYPOINT", "CMD", "HEALTHCHECK")):
            assert all(isinstance(word, str) for word in json.loads(line[line.index("[") :])), line
    (exposed,) = re.findall(r"^EXPOSE (.+)$", CONTAINERFILE, re.MULTILINE)
    pod = next(each for each in KUBERNETES if each["kind"] == "DaemonSet")["spec"]["template"]["spec"]
    ports = {f"{each['containerPort']}/{each['protocol'].lower()}" for each in pod["containers"][0]["ports"]}
    assert ports == set(exposed.split())
    (volume,) = re.findall(r"^VOLUME (\S+)$", CONTAINERFILE, re.MULTILINE)
    assert f"install -d -o 65532 -g 65532 -m 0700 {volume}" in CONTAINERFILE
    assert all(f"{name}:{volume}" in each["volumes"] for name, each in COMPOSE["services"].items())


KINDS = {
    "Namespace": ("v1", set()),
    "ConfigMap": ("v1", {"data"}),
    "DaemonSet": ("apps/v1", {"spec"}),
    "PodDisruptionBudget": ("policy/v1", {"spec"}),
}
"""By kind: its version and what it has beside its name."""


def test_the_kinds_of_kubernetes_are_whole() -> None:
    """Each has the version and the parts of its kind; what selects and what is selected say the same."""
    assert set(KINDS) == {each["kind"] for each in KUBERNETES}
    for each in KUBERNETES:
        version, parts = KINDS[each["kind"]]
        assert (version, {"apiVersion", "kind", "metadata", *parts}) == (each["apiVersion"], set(each))
        assert re.fullmatch(r"[a-z0-9-]{1,63}", each["metadata"]["name"])
    spec = next(each for each in KUBERNETES if each["kind"] == "DaemonSet")["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    text = (DEPLOY / "kubernetes.yaml").read_text()
    (label,) = spec["template"]["spec"]["nodeSelector"].items()
    assert f"kubectl label node WORKER1 WORKER2 WORKER3 {label[0]}={label[1]}" in text
    made = set(re.findall(r"--from-file=([\w-]+)", text))
    assert made == set(re.findall(r"/etc/quorumdns/secrets/([\w-]+)", text))
    (secret,) = (each["secret"] for each in spec["template"]["spec"]["volumes"] if "secret" in each)
    assert f"create secret generic {secret['secretName']} " in text
    assert 0o400 == secret["defaultMode"]


def test_compose(tmp_path: Path) -> None:
    """Each service is a node of the file, at that node's address, with the secrets that the file names."""
    text = (DEPLOY / "compose" / "cluster.toml").read_text()
    config = loaded(tmp_path, text, "/run/secrets", "ns1")
    addresses = {node.name: node.raft.rpartition(":")[0] for node in config.nodes}
    services = COMPOSE["services"]
    assert addresses == {name: each["networks"]["nodes"]["ipv4_address"] for name, each in services.items()}
    for name, service in services.items():
        assert accepts(service["command"])
        assert name == service["command"][-1]
        assert service["read_only"]
        assert ["ALL"] == service["cap_drop"]
        assert f"{name}:{config.raft.data_dir}" in service["volumes"]
        assert f"./cluster.toml:{service['command'][2]}:ro" in service["volumes"]
        assert set(service["secrets"]) == set(COMPOSE["secrets"])
    assert set(re.findall(r"/run/secrets/([\w-]+)", text)) == set(COMPOSE["secrets"])
    assert set(COMPOSE["volumes"]) == set(services)
    assert COMPOSE["services"]["ns1"]["build"]["dockerfile"] == "deploy/Containerfile"


def test_kubernetes(tmp_path: Path) -> None:
    """The configuration is right, probes ask what is served, and what is mounted is where the file looks."""
    by_kind = {each["kind"]: each for each in KUBERNETES}
    text = by_kind["ConfigMap"]["data"]["cluster.toml"]
    config = loaded(tmp_path, text, "/etc/quorumdns/secrets", "ns2")
    pod = by_kind["DaemonSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert accepts(container["args"])
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    assert {container["args"][-1], str(config.raft.data_dir), "/etc/quorumdns/secrets"} <= set(mounts)
    assert set(mounts.values()) == {each["name"] for each in pod["volumes"]}
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert {"dns-udp": 53, "dns-tcp": 53, "raft": 7300, "api": 7380} == ports
    for probe in ("readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        route, _ = TABLE.match("GET", asked["path"])
        assert (None, True) == (route.scope, asked["port"] in ports)
    security = container["securityContext"]
    assert {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]} == security["capabilities"]
    assert security["readOnlyRootFilesystem"]
    labels = by_kind["DaemonSet"]["spec"]["template"]["metadata"]["labels"]
    assert labels == by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    majority = len(config.nodes) // 2 + 1
    assert majority == by_kind["PodDisruptionBudget"]["spec"]["minAvailable"]
    assert 1 == by_kind["DaemonSet"]["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"]
    assert {"quorumdns"} == {each["metadata"].get("namespace", "quorumdns") for each in KUBERNETES}


def test_the_comments_name_commands_that_exist() -> None:
    """What the examples tell people to type about this repository names files that are there."""
    texts = "".join(path.read_text() for path in DEPLOY.rglob("*") if path.is_file())
    for name in set(re.findall(r"\bdeploy/[\w./-]+\w", texts)):
        assert (ROOT / name.replace("$", "")).exists() or name.startswith("deploy/compose/"), name
    for line in re.findall(r"/usr/bin/qdns ([^\n|']+)", texts):
        words = [word for word in shlex.split(line.replace('"', "")) if not re.search(r"[/$%+)]", word)]
        assert accepts([word for word in words if word != "-c"]), line
