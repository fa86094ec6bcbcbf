"""[[push]]: every type of target, its own keys, and where its token is."""

import pytest

from node.config.push import PushToken
from node.plan import plan_of
from tests.config.helpers import LONE, SERVICE, accepted, faults_of, warnings_of

ZONES = 'zones = ["example.com"]\n'
KINDS = ("powerdns", "desec", "gandi", "hetzner", "digitalocean", "cloudflare", "dynu", "route53")


def push(*lines: str) -> str:
    return LONE + SERVICE + "[[push]]\n" + "".join(f"{line}\n" for line in lines) + ZONES


def messages(*lines: str) -> list[str]:
    return [fault[2] for fault in faults_of(push(*lines))]


@pytest.mark.parametrize("kind", KINDS)
def test_every_service_takes_a_url_and_a_token_that_stays_here(kind, monkeypatch):
    """The log knows the name that the token is found by, the configuration of each node its secret."""
    monkeypatch.setenv("PUSH_TOKEN", "hunter2hunter2")
    config = accepted(
        push(
            'name = "there"',
            f'type = "{kind}"',
            'url = "https://dns.example.net/api/"',
            'token = "env:PUSH_TOKEN"',
            'own = "name"',
            'what = "all"',
            'min_interval = "2s"',
            'max_withdrawal = "80%"',
        )
    )
    target = config.targets[0]
    assert ("there", kind, "https://dns.example.net/api", "there", "name", "all", 2000, 80) == (
        target.name,
        target.kind,
        target.url,
        target.token,
        target.own,
        target.what,
        target.min_interval_ms,
        target.withdrawal_percent_max,
    )
    plan = plan_of(config)
    assert {"there": "hunter2hunter2"} == dict(plan.push_tokens)
    assert "hunter2" not in repr(plan) + repr(config)


def test_a_target_without_a_name_is_called_after_its_server_or_its_type():
    """Two of one type differ by a number, and so do their tokens."""
    one = f'[[push]]\ntype = "desec"\ntoken = "env:ONE"\n{ZONES}'
    two = f'[[push]]\ntype = "desec"\ntoken = "env:TWO"\n{ZONES}'
    config = accepted(LONE + SERVICE + one + two)
    assert ["desec", "desec#2"] == [each.name for each in config.targets]
    expected = [("desec", "env:ONE"), ("desec#2", "env:TWO")]
    assert expected == [(each.target, str(each.secret)) for each in config.push_tokens]
    assert all(isinstance(each, PushToken) for each in config.push_tokens)


def test_a_fence_and_a_program_are_for_updates():
    """What RFC 2136 alone can do is taken there."""
    target = accepted(push('type = "rfc2136"', 'server = "192.0.2.53"', "fence = true")).targets[0]
    assert (True, "192.0.2.53:53", "") == (target.fence, target.server, target.token)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['type = "rfc2136"'], 'a push of type "rfc2136" needs the key "server"'),
        (['type = "desec"'], 'a push of type "desec" needs the key "token"'),
        (['type = "powerdns"', 'token = "env:T"'], 'a push of type "powerdns" needs the key "url"'),
        (
            ['type = "gandi"', 'token = "env:T"', "fence = true"],
            'a push of type "gandi" has no use for the key "fence"',
        ),
        (
            ['type = "dynu"', 'token = "env:T"', 'server = "192.0.2.53"'],
            'a push of type "dynu" has no use for the key "server"',
        ),
        (
            ['type = "rfc2136"', 'server = "192.0.2.53"', 'token = "env:T"'],
            'a push of type "rfc2136" has no use for the key "token"',
        ),
        (['type = "desec"', 'token = "hunter2"'], "a secret is never written here"),
        (['type = "desec"', 'token = "env:T"', 'url = "https://u:p@h"'], "a URL with a password"),
        (['type = "desec"', 'token = "env:T"', 'url = "ftp://h"'], "'ftp://h' is not a URL"),
        (['type = "rout53"', 'token = "env:T"'], '"rout53" is not possible here'),
    ],
)
def test_a_key_that_does_not_fit_the_type_is_an_error(lines, expected):
    """A typo in a target is explained where it stands, not found out by a silent target."""
    assert [True] == [expected in message for message in messages(*lines)]


def test_an_error_points_to_the_key():
    """Line and column are the key's own."""
    lines = LONE.count("\n") + SERVICE.count("\n")
    text = push('type = "gandi"', 'token = "env:T"', "fence = true")
    assert [(lines + 4, 9)] == [(line, column) for line, column, _ in faults_of(text)]


def test_a_token_in_clear_is_a_warning():
    """An API by http: off this machine shows the token to everybody on the way."""
    text = push('type = "powerdns"', 'url = "http://192.0.2.9:8081"', 'token = "env:T"')
    assert any("everybody on the way" in message for _, _, message in warnings_of(text))
    near = push('type = "powerdns"', 'url = "http://127.0.0.1:8081"', 'token = "env:T"')
    assert not any("everybody on the way" in message for _, _, message in warnings_of(near))
