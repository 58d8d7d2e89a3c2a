"""HTTP Basic (RFC 7617): a client's id and secret, or a username and an API key."""

import os

import requests

API = os.environ["API"]  # https://orders.example.com

auth = os.environ["API_USER"], os.environ["API_PASSWORD"]
answer = requests.get(f"{API}/orders/1", auth=auth, timeout=10, allow_redirects=False)
print(answer.status_code, answer.text)
raise SystemExit(answer.status_code >= 300)
