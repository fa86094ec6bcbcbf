"""What the tests of the configuration share."""

import trustme

from node.config import Config, ConfigError, loads

LONE = (
    '[[zones]]\nname = "example.com"\nnameservers = ["ns1.example.com"]\n[dns]\nlisten = ["127.0.0.1:9000"]\n'
)
SERVICE = '[[services]]\nfqdn = "www.example.com"\nhealthcheck = "http://{}:80/"\nendpoints = ["192.0.2.1"]\n'


def faults_of(text, environ=None, node=None, **options):
    """Return the errors of a text as (line, column, message) in order; none when it is accepted."""
    try:
        loads(text, environ or {}, node, **options)
    except ConfigError as error:
        return [(each.line, each.column, each.message) for each in error.faults if each.level == "error"]
    return []


def warnings_of(text, environ=None, **options):
    """Return the warnings of a text that is accepted as (line, column, message)."""
    return [(each.line, each.column, each.message) for each in loads(text, environ or {}, **options).warnings]


def accepted(text, environ=None, node=None, **options) -> Config:
    """Load a text that must be accepted."""
    return loads(text, environ or {}, node, **options)


def write_certificate(cert, key):
    """Write a certificate and its key into two files."""
    issued = trustme.CA().issue_cert("ns1.example")
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    key.chmod(0o600)
