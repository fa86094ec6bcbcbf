"""GET on keys: one node of the tree, or a watch for its next change."""

from node.api.context import ApiContext
from node.api.etcd.answers import answered, headers
from node.api.etcd.form import read_form
from node.api.etcd.keys import read_key
from node.api.etcd.tree import tree_of
from node.api.etcd.watch import find_change
from node.api.message import Reply, Request, Response, Watch, heavy
from node.state.state import State

WATCH_S = 300.0


def get_key(context: ApiContext, request: Request) -> Reply:
    """Show a key or a directory; with ``wait=true`` its first change from ``waitIndex`` on."""
    key, form = read_key(request.values["key"]), read_form(request)
    if not form.wait:
        state = context.state()

        def work() -> Response:
            node = tree_of(context, state).find(key, recursive=form.recursive)
            return answered(context, {"action": "get", "node": node})

        is_record = key.type is not None
        return heavy(0 if is_record else sum(zone.rrset_count for zone in state.zones.values()), work)
    since = form.wait_index if form.wait_index is not None else context.state().index + 1

    def look(state: State) -> Response | None:
        change = find_change(state, key, since, recursive=form.recursive)
        return answered(context, change) if change is not None else None

    def late(_state: State) -> Response:
        return Response(headers=headers(context))

    return Watch(look, late, WATCH_S)


def get_version(_context: ApiContext, _request: Request) -> Response:
    """Say which etcd this door behaves like."""
    return Response(body=b'{"etcdserver":"2.3.8","etcdcluster":"2.3.0"}\n')


def list_members(context: ApiContext, _request: Request) -> Response:
    """List the nodes as etcd clients look for them before they ask anything."""
    members = [
        {
            "id": member.name,
            "name": member.name,
            "peerURLs": [],
            "clientURLs": [member.api] if member.api else [],
        }
        for member in context.state().members
    ]
    return answered(context, {"members": members})
