"""Paths of old programs, unknown paths, wrong methods."""

from tests.api.conftest import Api


def test_old_paths(api: Api) -> None:
    """The seed's dashboard has moved to the front page; its quorum API is gone, with a sentence."""
    moved = api.get("/dash")
    assert (308, "/") == (moved.status_code, moved.headers["location"])
    gone = api.call("POST", "/quorum/v1/vote/append")
    assert (410, "gone") == (gone.status_code, gone.json()["code"])


def test_unknown_path_and_method(api: Api) -> None:
    """An unknown path is 404, a method that a path does not know is 405 and names those it knows."""
    assert (404, "not_found") == (api.get("/v1/nothing").status_code, api.get("/v1/nothing").json()["code"])
    refused = api.call("POST", "/v1/zones/example.org")
    assert (405, "GET, PUT, DELETE") == (refused.status_code, refused.headers["allow"])
    assert 400 == api.get("/v1/zones/%FF").status_code


def test_head(api: Api) -> None:
    """HEAD is GET without the body."""
    read, head = api.get("/v1/zones"), api.call("HEAD", "/v1/zones")
    assert (200, b"", read.headers["content-length"]) == (
        head.status_code,
        head.content,
        head.headers["content-length"],
    )
