"""Secrets: references only, read when needed, shown never."""

import os

import pytest

from node.config import SecretError
from node.config.secret import References, mode_problem
from tests.config.helpers import accepted, faults_of, warnings_of

TSIG = '[[tsig]]\nname = "k"\nsecret = "env:K"\n'


def secret_of(text, base):
    return References(base).secret(text)


def test_the_three_kinds_of_references_are_read(tmp_path):
    """An environment variable, a file beside the configuration, a credential of systemd; no final newline."""
    (tmp_path / "s").write_text("hush\n")
    (tmp_path / "s").chmod(0o600)
    environ = {"S": "hush", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    found = [
        secret_of(each, tmp_path).read(environ)
        for each in ("env:S", "file:s", f"file:{tmp_path}/s", "credential:s")
    ]
    assert [b"hush"] * 4 == found


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_file_that_others_can_read_is_refused(tmp_path, mode):
    """The message says the mode and what to run."""
    (tmp_path / "s").write_text("hush")
    (tmp_path / "s").chmod(mode)
    secret = secret_of("file:s", tmp_path)
    with pytest.raises(SecretError, match=f"mode {mode:04o}.*chmod 600"):
        secret.read({})
    text = '[cluster]\nsecret = "file:s"\n'
    assert [(2, 10, mode_problem(secret))] == faults_of(text, base=tmp_path)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_0600_or_stricter_is_accepted(tmp_path, mode):
    """Only the owner reads it."""
    (tmp_path / "s").write_text("hush" * 8)
    (tmp_path / "s").chmod(mode)
    assert () == accepted('[cluster]\nsecret = "file:s"\n', base=tmp_path).warnings


@pytest.mark.parametrize(
    ("reference", "fragment"),
    [
        ("env:NOT_SET", "NOT_SET is not set"),
        ("env:EMPTY", "is empty"),
        ("file:missing", "No such file"),
        ("file:.", "directory"),
        ("credential:x", "LoadCredential"),
    ],
)
def test_a_secret_that_is_not_there_is_told_when_it_is_needed(tmp_path, reference, fragment):
    """The message names the reference, never a value."""
    with pytest.raises(SecretError, match=fragment):
        secret_of(reference, tmp_path).read({"EMPTY": ""})


def test_a_missing_secret_is_a_warning_of_the_check(tmp_path):
    """Whoever checks a file need not have the secrets of the machine that it is for."""
    ((line, column, message),) = warnings_of('[cluster]\nsecret = "env:NOT_SET"\n')
    assert (2, 10, True) == (line, column, "NOT_SET" in message)


@pytest.mark.parametrize("text", ["hush", "env:", "env:a b", "credential:../x", "evn:x", "file:"])
def test_anything_else_than_a_reference_is_refused(tmp_path, text):
    """A secret itself does not belong into a file that is the same on every machine."""
    with pytest.raises(ValueError, match=r"never written here|name of a secret"):
        secret_of(text, tmp_path)


def test_a_secret_that_is_too_large_is_refused(tmp_path):
    """A device or a log file is not a secret."""
    (tmp_path / "s").write_bytes(b"x" * 70_000)
    (tmp_path / "s").chmod(0o600)
    with pytest.raises(SecretError, match="larger than 64 KiB"):
        secret_of("file:s", tmp_path).read({})


def test_no_form_of_a_secret_shows_its_value(tmp_path):
    """Logs hold reprs; tracebacks hold messages."""
    config = accepted(TSIG, {"K": "aHVzaA=="})
    os.environ.pop("K", None)
    shown = f"{config!r} {config.tsig[0].secret} {config.tsig[0].secret!r} {config.warnings}"
    assert "aHVzaA" not in shown
    assert "env:K" in shown


@pytest.mark.parametrize(
    ("value", "level", "fragment"),
    [
        ("not base64!", "error", "not base64"),
        ("aHVzaA==", "warning", "has 4 octets; hmac-sha256 wants at least 32"),
    ],
)
def test_a_tsig_secret_is_base64_and_as_long_as_its_digest(value, level, fragment):
    """RFC 8945 section 4.2 carries base64; RFC 2104 section 3 asks for the length of the digest."""
    found = faults_of(TSIG, {"K": value}) if level == "error" else warnings_of(TSIG, {"K": value})
    assert [(3, 10)] == [each[:2] for each in found]
    assert fragment in found[0][2]


def test_a_short_cluster_secret_is_a_warning():
    """Sixteen octets cannot be guessed."""
    ((_, _, message),) = warnings_of('[cluster]\nsecret = "env:S"\n', {"S": "short"})
    assert "5 octets" in message


def test_a_secret_written_into_the_file_is_not_repeated_on_the_screen():
    """The excerpt of a fault hides it; the line and column are enough."""
    from node.config import ConfigError, loads

    with pytest.raises(ConfigError) as caught:
        loads('[cluster]\nsecret = "hunter2"\n[[api.tokens]]\nname = "a"\ntoken = "env:T"\ntokn = 1\n', {})
    rendered = caught.value.render() + str(caught.value)
    assert "hunter2" not in rendered
    assert 'secret = "*******"' in rendered


@pytest.mark.parametrize(
    "written",
    [
        '[[api.tokens]]\nname = "a"\ntokn = "hunter2"\n',
        '[[api.tokens]]\nname = "a"\ntoken = ["hunter2"]\n',
        '[[push]]\nname = "a"\napi_key = "hunter2"\n',
        '[[notify]]\nname = "a"\ntype = "webhook"\nurl = "https://hooks.example/a/hunter2?x=1"\n',
    ],
)
def test_a_misplaced_secret_is_not_repeated_either(written):
    """Behind a misspelt key, in a list or in a URL it is hidden, too, and the line is still shown."""
    from node.config import ConfigError, loads

    with pytest.raises(ConfigError) as caught:
        loads(written, {})
    rendered = caught.value.render()
    assert "hunter2" not in rendered
    assert "***" in rendered
