#!/usr/bin/env python3
"""Property-based requests against a running server, made from its OpenAPI document.

Usage: e2e/schemathesis.py JANGBU [EXAMPLES]

Starts JANGBU on a scratch directory, fills it with one of each thing, and lets schemathesis (of
the Python that runs this) send what the document allows and what it forbids. Every answer is held
against the document: status, code, body, headers. Left out is the check that whatever fits the
schema must be accepted: no schema can say that the lines of an order sum up to its total.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

# These change the server itself, or take as long as the books are thick.
LEFT_OUT = ["/api/v1/admin/read-only", "/api/v1/admin/prove"]


def start(jangbu: str, data: Path) -> tuple[subprocess.Popen, str]:
    """The server and its address."""
    command = [jangbu, "serve", "--data", str(data), "--listen", "127.0.0.1:0"]
    log = (data.parent / "server.log").open("w")
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    line = server.stdout.readline()
    found = re.search(r"http://\S+", line)
    if found is None:
        sys.exit(f"the server did not start: {line}")
    return server, found.group()


class Client:
    """Talks to the server as its operator."""

    def __init__(self, base: str, key: str):
        self.base, self.key, self.no = base, key, 0

    def send(self, method: str, path: str, body=None):
        self.no += 1
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"fill-{self.no}",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")


def fill(client: Client) -> dict[str, str]:
    """Makes one of each thing: ids by the beginning of the paths that want them."""
    price = {"amount": 1000, "currency": "KRW"}
    sku = {"name": "one", "price": price, "stock": 1_000_000}
    product = {"merchantId": "m-1", "name": "Mug", "publish": True, "skus": [sku]}
    product = client.send("POST", "/api/v1/products", product)
    sku = product["skus"][0]["id"]
    order = client.send("POST", "/api/v1/orders", {
        "userId": "usr_0000000000001",
        "lines": [{"skuId": sku, "quantity": 1}],
        "expectedTotal": price,
        "payment": {"mode": "SERVER", "token": "tok_schemathesis"},
    })
    campaign = client.send("POST", "/api/v1/campaigns", {
        "name": "Spring", "discount": {"type": "FIXED", "amount": 100}, "currency": "KRW",
        "total": 1_000_000, "perUser": 1_000,
    })
    user = client.send("POST", "/api/v1/users", {
        "email": "lee@example.com", "password": "correct horse", "name": "Lee",
    })
    issue = f"/api/v1/campaigns/{campaign['id']}/issue"
    coupon = client.send("POST", issue, {"userId": user["id"]})
    category = client.send("POST", "/api/v1/categories", {"code": "cups"})
    client.send("POST", "/api/v1/merchants", {"merchantId": "m-1", "name": "Kim's Mugs"})
    return {
        "/api/v1/campaigns/": campaign["id"],
        "/api/v1/coupons/": coupon["couponId"],
        "/api/v1/users/": user["id"],
        "/api/v1/categories/": category["id"],
        "/api/v1/merchants/": "m-1",
        "/api/v1/products/": product["id"],
        "/api/v1/skus/": sku,
        "/api/v1/stock/": sku,
        "/api/v1/orders/": order["id"],
        "/api/v1/sagas/": order["id"],
        "/api/v1/payments/": order["paymentId"],
        "/api/v1/ledger/accounts/": "merchant:m-1:payable",
    }


def settings(document: dict, known: dict[str, str]) -> str:
    """Tells schemathesis the ids that exist: without them it would only see 404."""
    # Any text is a name, and the text `null` is one.
    parts = [
        '[[operations]]\ninclude-name = "GET /api/v1/audit"\n'
        "checks.negative_data_rejection.enabled = false\n"
    ]
    for path, methods in document["paths"].items():
        name = re.search(r"{(\w+)}", path)
        value = next((value for start, value in known.items() if path.startswith(start)), None)
        if name is None or value is None:
            continue
        for method in methods:
            parts.append(
                f'[[operations]]\ninclude-name = "{method.upper()} {path}"\n'
                f'parameters = {{ {name.group(1)} = "{value}" }}\n'
            )
    return "\n".join(parts)


def main() -> int:
    jangbu, examples = sys.argv[1], (sys.argv[2:] or ["40"])[0]
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        data.mkdir()
        server, base = start(jangbu, data)
        try:
            key = (data / "keys" / "operator.key").read_text().strip()
            client = Client(base, key)
            known = fill(client)
            document = client.send("GET", "/openapi.json")
            config = Path(scratch) / "schemathesis.toml"
            config.write_text(settings(document, known))
            left_out = [word for path in LEFT_OUT for word in ("--exclude-path", path)]
            command = [
                sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run",
                f"{base}/openapi.json", "--header", f"Authorization: Bearer {key}",
                "--max-examples", examples, "--seed", "1", "--no-color", "--warnings", "off",
                "--exclude-checks", "positive_data_acceptance", *left_out,
            ]
            started = time.monotonic()
            failed = subprocess.run(command, cwd=scratch).returncode
            print(f"schemathesis: {time.monotonic() - started:.0f} s")
            if server.poll() is not None:
                print("the server died", (Path(scratch) / "server.log").read_text()[-2000:])
                return 1
            server.terminate()
            stopped = server.wait(timeout=30)
            proof = subprocess.run([jangbu, "prove", "--data", str(data)]).returncode
            return int(bool(failed or stopped or proof))
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
