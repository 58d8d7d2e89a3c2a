"""An API key: of a person's page /account/api-keys, or of `signet api-key create`."""

import os

import requests

API, KEY = os.environ["API"], os.environ["API_KEY"]  # https://orders.example.com, sgk_…

# No redirect takes the key elsewhere.
answer = requests.get(f"{API}/orders/1", headers={"X-API-Key": KEY}, timeout=10, allow_redirects=False)
print(answer.status_code, answer.text)
raise SystemExit(answer.status_code >= 300)
