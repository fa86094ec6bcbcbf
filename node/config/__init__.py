"""The configuration: ``cluster.toml`` (or rrdnsd's JSON), environment and flags to a frozen ``Config``."""

from node.config.messages import ConfigError, Fault, render, to_json
from node.config.model import Config
from node.config.reader import load, loads
from node.config.secret import Secret, SecretError

__all__ = ["Config", "ConfigError", "Fault", "Secret", "SecretError", "load", "loads", "render", "to_json"]
