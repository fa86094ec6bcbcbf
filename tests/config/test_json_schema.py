"""The JSON Schema of the file: it takes what the program takes, and has defaults as they are written."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
import tomli

from node.config.json_schema import config_schema

SCHEMA = json.loads(json.dumps(config_schema()))
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)
EXAMPLES = ("tests/config/data/complete.toml", "cluster.toml", "tests/cli/data/cluster.toml")


@pytest.mark.parametrize("path", EXAMPLES)
def test_it_takes_the_examples(path: str) -> None:
    """Files that a node takes are valid."""
    errors = VALIDATOR.iter_errors(tomli.loads(Path(path).read_text("utf-8")))
    assert [] == [f"{each.instance_path}: {each.message}" for each in errors]


@pytest.mark.parametrize(
    "text", ["[dsn]\nlisten = []\n", "[dns]\ndefault_ttl = 0\n", "[[nodes]]\nname = 'a'\n", '[log]\nlevel = "x"\n']
)  # fmt: skip
def test_it_refuses_what_cannot_be(text: str) -> None:
    """Unknown and missing keys, numbers out of range and wrong words are found by an editor, too."""
    assert not VALIDATOR.is_valid(tomli.loads(text))


def test_defaults_stand_as_they_are_written() -> None:
    """An editor shows the default that the file would have."""
    tables = SCHEMA["$defs"]
    assert "2s" == tables["HealthTable"]["properties"]["interval"]["default"]
    assert ["127.0.0.0/8", "::1"] == tables["DnsTable"]["properties"]["allow_transfer"]["default"]
