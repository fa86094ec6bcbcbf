"""What the commands that list things of ``/v1`` share: the rows by a path, and columns that many tables have."""

from collections.abc import Mapping, Sequence

from node.cli.changes import Json
from node.cli.output import Column
from node.cli.session import Session
from node.cli.times import ago


def show_list(session: Session, path: str, columns: Sequence[Column], name: str) -> None:
    """Show the items of a list; ``name`` is the key of what they are called. Raises ``Failure``."""
    rows = list(session.client.items(path))
    session.out.rows(rows, columns, lambda row: str(row[name]))


def age_column(title: str, key: str) -> Column:
    """Return the column that says how long ago a time was; programs get the time."""
    return Column(title, lambda row: ago(row.get(key)), raw=lambda row: row.get(key))


def state_column(words: Mapping[str, str]) -> Column:
    """Return the column of states, with a symbol for people; a state of a later version is shown as it is."""
    return Column("STATE", lambda row: state_of(row, words), raw=lambda row: row["state"])


def state_of(row: Json, words: Mapping[str, str]) -> str:
    """Return a row's state as people read it."""
    return words.get(row["state"], str(row["state"]))
