"""Telling people and programs outside of committed events; see ``node.notify.notifier``."""
