"""What can be said of secrets by reading them: too open, missing, too short, not base64."""

import base64
import binascii
from collections.abc import Mapping, Sequence

from node.config.findings import Findings
from node.config.model import PushToken, Token, TsigKey
from node.config.positions import Path as KeyPath
from node.config.schema import TSIG_OCTETS
from node.config.secret import Secret, SecretError, mode_problem
from node.config.validate import Validated

SECRET_OCTETS_MIN = 16


def judge(
    valid: Validated,
    cluster: Secret | None,
    tsig: Sequence[TsigKey],
    tokens: Sequence[Token],
    environ: Mapping[str, str],
    findings: Findings,
) -> None:
    """Look at every secret. One that is not there (yet, or for this user) is a warning only."""
    if cluster is not None:
        _judge_length(cluster, ("cluster", "secret"), environ, findings)
    for number, token in enumerate(tokens):
        _judge_length(token.secret, ("api", "tokens", number, "token"), environ, findings)
    by_name = {each.name: number for number, each in enumerate(valid.root.tsig)}
    for key in tsig:
        _judge_tsig(key, (*valid.path("tsig", by_name[key.name]), "secret"), environ, findings)


def judge_push_tokens(tokens: Sequence[PushToken], environ: Mapping[str, str], findings: Findings) -> None:
    """Look at the tokens of push targets; how long they are is the service's to say."""
    for token in tokens:
        _read(token.secret, token.path, environ, findings)


def tsig_octets(key: TsigKey, environ: Mapping[str, str]) -> bytes:
    """Return a key's octets. Raises ``SecretError`` when the secret cannot be read or is not base64."""
    try:
        return base64.b64decode(key.secret.read(environ), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError(f"the secret of the TSIG key {key.name} is not base64") from None


def _judge_length(secret: Secret, path: KeyPath, environ: Mapping[str, str], findings: Findings) -> None:
    value = _read(secret, path, environ, findings)
    if value is not None and len(value) < SECRET_OCTETS_MIN:
        findings.warning(
            path,
            f"the secret has {len(value)} octets; {SECRET_OCTETS_MIN} or more cannot be guessed",
            code="short-secret",
            suggestion="openssl rand -hex 32 makes a good one",
        )


def _judge_tsig(key: TsigKey, path: KeyPath, environ: Mapping[str, str], findings: Findings) -> None:
    if _read(key.secret, path, environ, findings) is None:
        return
    try:
        octets = len(tsig_octets(key, environ))
    except SecretError as error:
        findings.error(path, str(error), code="bad-secret")
        return
    least = TSIG_OCTETS[key.algorithm]
    if octets < least:
        findings.warning(
            path,
            f"the secret of {key.name} has {octets} octets; {key.algorithm} wants at least {least} "
            "(RFC 2104 section 3)",
            code="short-secret",
            suggestion=f"openssl rand -base64 {least} makes a good one",
        )


def _read(secret: Secret, path: KeyPath, environ: Mapping[str, str], findings: Findings) -> bytes | None:
    problem = mode_problem(secret, environ)
    if problem:
        findings.error(path, problem, code="open-secret")
        return None
    try:
        return secret.read(environ)
    except SecretError as error:
        findings.warning(path, str(error), code="secret-missing")
        return None
