"""DNS services in memory that behave over HTTP as their documents say: pages, limits, errors in bodies."""

import hashlib
import hmac
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

TOKEN = "a-token-for-tests"
ZONE = "example.org"
AWS = "https://route53.amazonaws.com/doc/2013-04-01/"

Answer = tuple[int, dict[str, str], Any]
Key = tuple[str, str]


class Fake:
    """A service that holds one zone as {(name without dot, type): (ttl, [rdata texts])}."""

    token = TOKEN
    header = ("Authorization", f"Bearer {TOKEN}")
    ttl_min = 0
    page_rows = 0
    prefix = ""

    def __init__(self) -> None:
        self.rrsets: dict[Key, tuple[int, list[str]]] = {}
        self.requests: list[str] = []
        self.writes = 0
        self.next_answers: list[Answer | None] = []
        self.history: list[dict[Key, tuple[int, list[str]]]] = []
        self.ids: dict[tuple[str, str, str], int] = {}

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve on loopback; yields the URL to give to the target."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{self.prefix}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def handle(self, method: str, path: str, query: dict[str, str], headers: Any, body: Any) -> Answer | None:
        """Answer one request; None drops the connection."""
        self.requests.append(f"{method} {path}")
        if self.next_answers:
            return self.next_answers.pop(0)
        if not self.is_allowed(method, path, query, headers, body):
            return self.unauthorized()
        before = json.dumps(sorted((key, value) for key, value in self.rrsets.items()))
        answer = self.answer(method, path, query, body)
        if before != json.dumps(sorted((key, value) for key, value in self.rrsets.items())):
            self.writes += 1
            self.history.append({key: (ttl, list(texts)) for key, (ttl, texts) in self.rrsets.items()})
        return answer

    def is_allowed(self, method: str, path: str, query: dict[str, str], headers: Any, body: Any) -> bool:
        return bool(headers.get(self.header[0]) == self.header[1])

    def read_body(self, octets: bytes) -> Any:
        return json.loads(octets)

    def unauthorized(self) -> Answer:
        return 401, {}, {"message": "unauthorized"}

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        raise NotImplementedError

    def limited(self) -> Answer:
        """Return the answer to one request too many."""
        return 429, {"Retry-After": "7"}, {"message": "slow down"}

    def put(self, name: str, type_: str, ttl: int, texts: list[str]) -> None:
        if texts:
            self.rrsets[(name, type_)] = (ttl, texts)
        else:
            self.rrsets.pop((name, type_), None)

    def number(self, *words: str) -> int:
        """Return a lasting id of a record."""
        return self.ids.setdefault((words[0], words[1], words[2]), 1000 + len(self.ids))

    def records(self) -> Iterator[tuple[int, str, str, int, str]]:
        """Yield id, name, type, ttl and text of every record."""
        for (name, type_), (ttl, texts) in sorted(self.rrsets.items()):
            for text in texts:
                yield self.number(name, type_, text), name, type_, ttl, text

    def find(self, number: int) -> tuple[str, str, str] | None:
        """Return name, type and text of a record."""
        return next(
            ((name, type_, text) for each, name, type_, _, text in self.records() if each == number), None
        )

    def add(self, name: str, type_: str, ttl: int, text: str) -> None:
        self.put(name, type_, ttl, [*self.rrsets.get((name, type_), (0, []))[1], text])

    def remove(self, number: int) -> bool:
        record = self.find(number)
        if record is None:
            return False
        name, type_, text = record
        ttl, texts = self.rrsets[(name, type_)]
        self.put(name, type_, ttl, [each for each in texts if each != text])
        return True

    def change_ttl(self, number: int, ttl: int) -> bool:
        record = self.find(number)
        if record is None:
            return False
        self.put(record[0], record[1], ttl, self.rrsets[record[:2]][1])
        return True


def _handler(fake: Fake) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = fake.read_body(self.rfile.read(length)) if length else None
            query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
            path = unquote(parts.path).removeprefix(fake.prefix)
            answer = fake.handle(self.command, path, query, self.headers, body)
            if answer is None:
                self.close_connection = True
                self.connection.close()
                return
            status, headers, data = answer
            octets = b"" if data is None else data if isinstance(data, bytes) else json.dumps(data).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(octets)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(octets)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def full(node: str) -> str:
    """Return the name that a relative one stands for."""
    return ZONE if node in ("@", "") else f"{node}.{ZONE}"


def relative(name: str, apex: str = "@") -> str:
    return apex if name == ZONE else name.removesuffix(f".{ZONE}")


class FakePowerDns(Fake):
    header = ("X-API-Key", TOKEN)

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        if path != f"/api/v1/servers/localhost/zones/{ZONE}.":
            return 404, {}, {"error": "Not Found"}
        if method == "PATCH":
            for row in body["rrsets"]:
                texts = (
                    [each["content"] for each in row.get("records", [])]
                    if row["changetype"] == "REPLACE"
                    else []
                )
                self.put(row["name"].rstrip("."), row["type"], row.get("ttl", 0), texts)
            return 204, {}, None
        rows = [
            {
                "name": f"{name}.",
                "type": type_,
                "ttl": ttl,
                "records": [{"content": text, "disabled": False} for text in texts],
            }
            for (name, type_), (ttl, texts) in self.rrsets.items()
            if query.get("rrset_name", f"{name}.") == f"{name}." and query.get("rrset_type", type_) == type_
        ]
        return 200, {}, {"name": f"{ZONE}.", "serial": self.writes, "rrsets": rows}


class FakeDeSec(Fake):
    header = ("Authorization", f"Token {TOKEN}")
    ttl_min = 3600
    page_rows = 500
    prefix = "/api/v1"

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        if not path.startswith(f"/domains/{ZONE}/"):
            return 404, {}, {"detail": "Not found."}
        if path == f"/domains/{ZONE}/":
            return 200, {}, {"name": ZONE, "minimum_ttl": self.ttl_min}
        if method == "PATCH":
            if any(row["records"] and row["ttl"] < self.ttl_min for row in body):
                return 400, {}, [{"ttl": ["Ensure this value is greater than or equal to 3600."]}]
            for row in body:
                self.put(full(row["subname"]), row["type"], row.get("ttl", 0), row["records"])
            return 200, {}, []
        rows = [
            {"name": f"{name}.", "subname": relative(name, ""), "type": type_, "ttl": ttl, "records": texts}
            for (name, type_), (ttl, texts) in sorted(self.rrsets.items())
            if query.get("subname", relative(name, "")) == relative(name, "")
            and query.get("type", type_) == type_
        ]
        if "cursor" not in query:
            return (
                (200, {}, rows)
                if len(rows) <= self.page_rows
                else (400, {}, {"detail": "Pagination required."})
            )
        start = int(query["cursor"] or 0)
        end = start + self.page_rows
        link = f'<http://elsewhere.test/domains/{ZONE}/rrsets/?cursor=>; rel="first"'
        if end < len(rows):
            link += f', <http://elsewhere.test/domains/{ZONE}/rrsets/?cursor={end}>; rel="next"'
        return 200, {"Link": link}, rows[start:end]


class FakeGandi(Fake):
    ttl_min = 300
    prefix = "/v5/livedns"

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        words = path.strip("/").split("/")
        if words[:3] != ["domains", ZONE, "records"]:
            return 404, {}, {"code": 404, "message": "The resource could not be found."}
        if len(words) == 3:
            page, size = int(query.get("page", 1)), int(query.get("per_page", 100))
            return 200, {}, [self._row(key) for key in sorted(self.rrsets)][(page - 1) * size : page * size]
        key = (full(words[3]), words[4])
        if method == "PUT":
            if body["rrset_ttl"] < self.ttl_min:
                return 400, {}, {"message": "rrset_ttl must be at least 300"}
            self.put(*key, body["rrset_ttl"], body["rrset_values"])
            return 201, {}, {"message": "DNS Record Created"}
        if method == "DELETE":
            self.put(*key, 0, [])
            return 204, {}, None
        return (
            (200, {}, self._row(key))
            if key in self.rrsets
            else (404, {}, {"message": "Can't find the DNS record"})
        )

    def _row(self, key: Key) -> dict[str, Any]:
        ttl, texts = self.rrsets[key]
        return {"rrset_name": relative(key[0]), "rrset_type": key[1], "rrset_ttl": ttl, "rrset_values": texts}


class FakeHetzner(Fake):
    ttl_min = 60
    page_rows = 50
    prefix = "/v1"

    def __init__(self) -> None:
        super().__init__()
        self.polls_left = 0
        self.action_error = ""

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        words = path.strip("/").split("/")
        if words[0] == "actions":
            return self._action()
        if words[:3] != ["zones", ZONE, "rrsets"]:
            return self._error(404, "not_found", "zone not found")
        if len(words) == 3 and method == "GET":
            return self._list(query)
        if len(words) == 3:
            key = (full(body["name"]), body["type"])
            if key in self.rrsets:
                return self._error(409, "uniqueness_error", "rrset exists")
            if body["ttl"] < self.ttl_min:
                return self._error(422, "invalid_input", "ttl must be at least 60")
            self.put(*key, body["ttl"], [each["value"] for each in body["records"]])
            return self._action(201)
        return self._one((full(words[3]), words[4]), method, words[5:], body)

    def _one(self, key: Key, method: str, rest: list[str], body: Any) -> Answer:
        if key not in self.rrsets:
            return self._error(404, "not_found", "rrset not found")
        ttl, texts = self.rrsets[key]
        if method == "DELETE":
            self.put(*key, 0, [])
        elif rest == ["actions", "set_records"]:
            self.put(*key, ttl, [each["value"] for each in body["records"]])
        elif rest == ["actions", "change_ttl"]:
            self.put(*key, body["ttl"], texts)
        else:
            return 200, {}, {"rrset": self._row(key)}
        return self._action(201)

    def _list(self, query: dict[str, str]) -> Answer:
        page = int(query.get("page", 1))
        rows = [self._row(key) for key in sorted(self.rrsets)]
        end = page * self.page_rows
        following = page + 1 if end < len(rows) else None
        meta = {"pagination": {"page": page, "next_page": following}}
        return 200, {}, {"rrsets": rows[end - self.page_rows : end], "meta": meta}

    def _row(self, key: Key) -> dict[str, Any]:
        ttl, texts = self.rrsets[key]
        records = [{"value": text, "comment": ""} for text in texts]
        return {"name": relative(key[0]), "type": key[1], "ttl": ttl, "records": records}

    def _action(self, status: int = 200) -> Answer:
        self.polls_left -= 1
        word = "running" if self.polls_left > 0 else "error" if self.action_error else "success"
        error = {"code": "failed", "message": self.action_error} if word == "error" else None
        return status, {}, {"action": {"id": 7, "status": word, "error": error}}

    def _error(self, status: int, code: str, text: str) -> Answer:
        return status, {}, {"error": {"code": code, "message": text}}


class FakeDigitalOcean(Fake):
    ttl_min = 30
    page_rows = 200

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        words = path.strip("/").split("/")
        if words[:4] != ["v2", "domains", ZONE, "records"]:
            return 404, {}, {"id": "not_found", "message": "The resource you requested could not be found."}
        if method == "POST":
            if body["ttl"] < self.ttl_min:
                return 422, {}, {"id": "unprocessable_entity", "message": "ttl must be at least 30"}
            self.add(full(body["name"]), body["type"], body["ttl"], body["data"])
            return 201, {}, {"domain_record": {}}
        if method == "PATCH":
            return 200 if self.change_ttl(int(words[4]), body["ttl"]) else 404, {}, {}
        if method == "DELETE":
            return (204, {}, None) if self.remove(int(words[4])) else (404, {}, {"id": "not_found"})
        rows = [
            {"id": number, "type": type_, "name": relative(name), "data": text, "ttl": ttl, "priority": None}
            for number, name, type_, ttl, text in self.records()
            if query.get("name", name) == name and query.get("type", type_) == type_
        ]
        page, size = int(query.get("page", 1)), int(query.get("per_page", 20))
        links = {"pages": {"next": "http://elsewhere.test/"}} if page * size < len(rows) else {}
        return 200, {}, {"domain_records": rows[(page - 1) * size : page * size], "links": links}


class FakeCloudflare(Fake):
    ttl_min = 60
    page_rows = 100
    prefix = "/client/v4"

    def __init__(self) -> None:
        super().__init__()
        self.proxied: set[str] = set()

    def unauthorized(self) -> Answer:
        return 400, {}, {"success": False, "errors": [{"code": 6003, "message": "Invalid request headers"}]}

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        words = path.strip("/").split("/")
        if words == ["zones"]:
            return self._result([{"id": "zone1", "name": ZONE}] if query.get("name") == ZONE else [])
        assert words[:3] == ["zones", "zone1", "dns_records"], path
        if method == "POST":
            return self._post(body)
        if method == "PATCH":
            return self._result({}) if self.change_ttl(int(words[3]), body["ttl"]) else self._missing()
        if method == "DELETE":
            return self._result({}) if self.remove(int(words[3])) else self._missing()
        rows = [
            {
                "id": str(number),
                "type": type_,
                "name": name,
                "content": text,
                "ttl": 1 if name in self.proxied else ttl,
                "proxied": name in self.proxied,
            }
            for number, name, type_, ttl, text in self.records()
            if query.get("name", name) == name and query.get("type", type_) == type_
        ]
        page, size = int(query.get("page", 1)), int(query.get("per_page", 100))
        info = {"page": page, "total_pages": max(1, -(-len(rows) // size))}
        return self._result(rows[(page - 1) * size : page * size], info)

    def _post(self, body: Any) -> Answer:
        if body["content"] in self.rrsets.get((body["name"], body["type"]), (0, []))[1]:
            return (
                400,
                {},
                {
                    "success": False,
                    "errors": [{"code": 81058, "message": "An identical record already exists."}],
                },
            )
        if body["ttl"] != 1 and body["ttl"] < self.ttl_min:
            return 400, {}, {"success": False, "errors": [{"code": 9021, "message": "Invalid TTL"}]}
        assert body["proxied"] == (body["name"] in self.proxied)
        self.add(body["name"], body["type"], body["ttl"], body["content"])
        return self._result({})

    def _result(self, result: Any, info: Any = None) -> Answer:
        return 200, {}, {"success": True, "errors": [], "result": result, "result_info": info}

    def _missing(self) -> Answer:
        return 404, {}, {"success": False, "errors": [{"code": 81044, "message": "Record does not exist."}]}


class FakeDynu(Fake):
    header = ("API-Key", TOKEN)
    ttl_min = 30
    prefix = "/v2"

    def unauthorized(self) -> Answer:
        return 401, {}, {"statusCode": 401, "type": "Authentication Exception", "message": "Unauthorized."}

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        words = path.strip("/").split("/")
        if words[1] == "getroot":
            if not words[2].endswith(ZONE):
                return 200, {}, {"statusCode": 501, "type": "Argument Exception", "message": "Invalid."}
            return 200, {}, {"statusCode": 200, "id": 42, "domainName": ZONE, "hostname": words[2], "node": ""}
        if words[1] == "record":
            return self._rows(lambda name, type_: name == words[2] and type_ == query["recordType"])
        assert words[:3] == ["dns", "42", "record"], path
        if method == "GET":
            return self._rows(lambda _name, _type: True)
        if method == "DELETE":
            return 200, {}, {"statusCode": 200 if self.remove(int(words[3])) else 404}
        if len(words) == 4:
            return 200, {}, {"statusCode": 200 if self.change_ttl(int(words[3]), body["ttl"]) else 404}
        if body["ttl"] < self.ttl_min:
            return 200, {}, {"statusCode": 501, "type": "Argument Exception", "message": "Invalid ttl."}
        field = "ipv4Address" if body["recordType"] == "A" else "ipv6Address"
        self.add(full(body["nodeName"]), body["recordType"], body["ttl"], body[field])
        return 200, {}, {"statusCode": 200, "id": 1}

    def _rows(self, is_wanted: Callable[[str, str], bool]) -> Answer:
        rows = [
            {
                "id": number,
                "domainId": 42,
                "domainName": ZONE,
                "nodeName": relative(name, ""),
                "hostname": name,
                "recordType": type_,
                "ttl": ttl,
                "state": True,
                **({"ipv4Address": text} if type_ == "A" else {"ipv6Address": text} if type_ == "AAAA" else {}),
            }
            for number, name, type_, ttl, text in self.records()
            if is_wanted(name, type_)
        ]
        return 200, {}, {"statusCode": 200, "dnsRecords": rows}


class FakeRoute53(Fake):
    """Amazon Route 53: XML, signed requests, batches that are all or nothing, errors in bodies of status 400."""

    token = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    page_rows = 100
    batch_records_max = 1000

    def read_body(self, octets: bytes) -> Any:
        return octets

    def is_allowed(self, method: str, path: str, query: dict[str, str], headers: Any, body: Any) -> bool:
        """Compute the signature as the service does, from what arrived."""
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/(\d{8})/us-east-1/route53/aws4_request, "
            r"SignedHeaders=host;x-amz-date, Signature=([0-9a-f]{64})",
            headers.get("Authorization", ""),
        )
        if found is None:
            return False
        moment, host = headers["X-Amz-Date"], headers["Host"]
        pairs = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(query.items()))
        digest = hashlib.sha256(body or b"").hexdigest()
        request = f"{method}\n{path}\n{pairs}\nhost:{host}\nx-amz-date:{moment}\n\nhost;x-amz-date\n{digest}"
        scope = f"{found[1]}/us-east-1/route53/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = b"AWS4" + self.token.partition(":")[2].encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return moment.startswith(found[1]) and hmac.digest(key, text.encode(), "sha256").hex() == found[2]

    def unauthorized(self) -> Answer:
        return self.error(403, "SignatureDoesNotMatch", "The request signature does not match.")

    def limited(self) -> Answer:
        status, _, body = self.error(400, "Throttling", "Rate exceeded")
        return status, {"Retry-After": "7"}, body

    def error(self, status: int, code: str, text: str) -> Answer:
        xml = f"<ErrorResponse xmlns='{AWS}'><Error><Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>"
        return status, {}, xml.encode()

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        if path == "/2013-04-01/hostedzonesbyname":
            return self._zones()
        if not path.startswith("/2013-04-01/hostedzone/Z2PUBLIC/rrset"):
            return self.error(404, "NoSuchHostedZone", "No hosted zone found.")
        return self._change(body) if method == "POST" else self._list(query)

    def _zones(self) -> Answer:
        rows = "".join(
            f"<HostedZone><Id>/hostedzone/{id_}</Id><Name>{ZONE}.</Name><Config><PrivateZone>{private}</PrivateZone>"
            "</Config></HostedZone>"
            for id_, private in (("Z1PRIVATE", "true"), ("Z2PUBLIC", "false"))
        )
        return self._xml("ListHostedZonesByNameResponse", f"<HostedZones>{rows}</HostedZones>")

    def _list(self, query: dict[str, str]) -> Answer:
        rows = sorted(self.rrsets)
        start = (query.get("name", "").rstrip("."), query.get("type", ""))
        later = [key for key in rows if key >= start]
        size = min(int(query.get("maxitems", "300")), self.page_rows)
        page, rest = later[:size], later[size:]
        inner = "".join(map(self._row, page))
        more = "".join(
            f"<NextRecordName>{name}.</NextRecordName><NextRecordType>{type_}</NextRecordType>"
            for name, type_ in rest[:1]
        )
        truncated = f"<IsTruncated>{str(bool(rest)).lower()}</IsTruncated>"
        return self._xml(
            "ListResourceRecordSetsResponse",
            f"<ResourceRecordSets>{inner}</ResourceRecordSets>{truncated}{more}",
        )

    def _row(self, key: Key) -> str:
        ttl, texts = self.rrsets[key]
        values = "".join(
            f"<ResourceRecord><Value>{escape(text)}</Value></ResourceRecord>" for text in sorted(texts)
        )
        name = key[0].replace("*", "\\052")
        return (
            f"<ResourceRecordSet><Name>{name}.</Name><Type>{key[1]}</Type><TTL>{ttl}</TTL>"
            f"<ResourceRecords>{values}</ResourceRecords></ResourceRecordSet>"
        )

    def _change(self, body: bytes) -> Answer:
        staged = dict(self.rrsets)
        named = 0
        for change in ET.fromstring(body).iter(f"{{{AWS}}}Change"):
            action, name, type_, ttl = (
                change.findtext(f".//{{*}}{tag}") or "" for tag in ("Action", "Name", "Type", "TTL")
            )
            texts = [each.text or "" for each in change.iter(f"{{{AWS}}}Value")]
            named += len(texts)
            key = (name.rstrip("."), type_)
            present = staged.get(key)
            if action == "DELETE" and (
                present is None or (present[0], sorted(present[1])) != (int(ttl), sorted(texts))
            ):
                return self.error(400, "InvalidChangeBatch", f"{name} does not match the current values")
            if action == "CREATE" and present is not None:
                return self.error(400, "InvalidChangeBatch", f"{name} already exists")
            staged.pop(key, None)
            if action == "CREATE":
                staged[key] = (int(ttl), texts)
        if named > self.batch_records_max:
            return self.error(400, "InvalidChangeBatch", "too many records")
        self.rrsets = staged
        return self._xml(
            "ChangeResourceRecordSetsResponse", "<ChangeInfo><Status>PENDING</Status></ChangeInfo>"
        )

    def _xml(self, tag: str, inner: str) -> Answer:
        return 200, {}, f"<?xml version='1.0'?><{tag} xmlns='{AWS}'>{inner}</{tag}>".encode()


FAKES: dict[str, type[Fake]] = {
    "powerdns": FakePowerDns,
    "desec": FakeDeSec,
    "gandi": FakeGandi,
    "hetzner": FakeHetzner,
    "digitalocean": FakeDigitalOcean,
    "cloudflare": FakeCloudflare,
    "dynu": FakeDynu,
    "route53": FakeRoute53,
}
