"""[[notify]]: every type of receiver, its own keys, and where its secrets are."""

import pytest

from node.notify.settings import Mail, Script, Webhook, Wish, place_of
from node.notify_plan import notifier_settings
from tests.config.helpers import LONE, accepted, faults_of, warnings_of


def notify(*lines: str) -> str:
    return LONE + '[[notify]]\nname = "ops"\n' + "".join(f"{line}\n" for line in lines)


def test_a_webhook_keeps_its_url_and_its_secret_to_itself(tmp_path) -> None:
    """Both may be references; neither is shown by anything."""
    for name, text in (("url", "https://hooks.example.net/T0K3N?x=1"), ("key", "hunter2")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    text = notify('type = "webhook"', 'url = "file:url"', 'secret = "file:key"', 'events = "endpoint.*"')
    config = accepted(text, base=tmp_path)
    settings = notifier_settings(config, {})
    receiver = settings.receivers["ops"]
    assert Webhook("https://hooks.example.net/T0K3N?x=1", b"hunter2") == receiver.way
    assert (Wish(("endpoint.*",)), "hooks.example.net") == (receiver.wish, place_of(receiver))
    assert not any(secret in repr((config, settings)) for secret in ("T0K3N", "hunter2"))


def test_a_script_and_a_mail(monkeypatch) -> None:
    """What a program is called with is a list; a mail server has the usual ports."""
    script = accepted(notify('type = "script"', 'argv = ["/bin/page", "a b"]', 'services = "*.Example.com."'))
    assert Script(("/bin/page", "a b")) == notifier_settings(script, {}).receivers["ops"].way
    assert ("*.example.com",) == script.notify[0].wish.services
    lines = (
        'type = "mail"',
        'server = "[2001:db8::1]"',
        'sender = "a@b.test"',
        'to = ["c@d.test", "e@f.test"]',
    )
    mail = accepted(notify(*lines, 'tls = "implicit"', 'user = "u"', 'password = "env:MAIL"'))
    way = notifier_settings(mail, {"MAIL": "hunter2"}).receivers["ops"].way
    assert Mail("2001:db8::1", 465, "implicit", "a@b.test", ("c@d.test", "e@f.test"), "u", "hunter2") == way


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['type = "webhook"'], 'a receiver of type "webhook" needs the key "url"'),
        (['type = "webhook"', 'url = "https://u:p@x.test"'], "a URL with a password, a query or a fragment"),
        (['type = "webhook"', 'url = "hooks.test"'], "a secret is never written here"),
        (['type = "script"', 'argv = ["x"]', 'url = "https://x"'], 'has no use for the key "url"'),
        (['type = "script"', "argv = []"], "at least 1 item"),
        (['type = "script"', 'argv = ["x"]', 'events = "endpoint.dwn"'], 'there is no event "endpoint.dwn"'),
        (['type = "mail"', 'server = "m"', 'sender = "nobody"', 'to = "a@b"'], "'nobody' is no mail address"),
        (['type = "mail"', 'server = "m"', 'sender = "a@b"', 'to = "a@b"', 'user = "u"'], "belong together"),
        (['type = "pigeon"'], "is not possible here"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(lines, message) -> None:
    """Each fault is one sentence."""
    assert any(message in each[2] for each in faults_of(notify(*lines))), faults_of(notify(*lines))


def test_two_receivers_of_one_name_are_a_mistake() -> None:
    """The log knows them by name."""
    text = notify('type = "script"', 'argv = ["x"]')
    again = text.removeprefix(LONE)
    assert ["another receiver has this name already"] == [each[2] for each in faults_of(text + again)]


def test_mail_in_clear_is_worth_a_word() -> None:
    """Not on loopback, where nobody is on the way."""
    lines = ('type = "mail"', 'tls = "none"', 'sender = "a@b"', 'to = "a@b"')
    assert any("everybody on the way" in each[2] for each in warnings_of(notify(*lines, 'server = "m.test"')))
    assert [] == warnings_of(notify(*lines, 'server = "127.0.0.1:25"'))


def test_a_secret_that_cannot_be_read_costs_this_receiver_alone() -> None:
    """The node starts; the others tell."""
    text = notify('type = "webhook"', 'url = "env:NOT_SET"') + (
        '[[notify]]\nname = "page"\ntype = "script"\nargv = ["x"]\n'
    )
    assert ["page"] == list(notifier_settings(accepted(text), {}).receivers)
