"""A TLS certificate (RFC 8705): the connection says who calls, and no request carries a secret."""

import os

import requests

API = os.environ["API"]  # https://orders.example.com

session = requests.Session()
session.cert = os.environ["CERT_FILE"], os.environ["KEY_FILE"]
session.verify = os.environ.get("CA_FILE", True)  # of the API, where its authority is not a public one

answer = session.get(f"{API}/orders/1", timeout=10, allow_redirects=False)
print(answer.status_code, answer.text)
raise SystemExit(answer.status_code >= 300)
