"""An access token of one's own (client_credentials), kept until it ends, sent as a bearer token (RFC 6750)."""

import os
import time
import urllib.parse

import requests

ISSUER, API = os.environ["ISSUER"], os.environ["API"]  # https://id.example.com, https://orders.example.com
# RFC 6749 §2.3.1: both are form-encoded before they are joined.
CLIENT = tuple(urllib.parse.quote_plus(os.environ[name]) for name in ("CLIENT_ID", "CLIENT_SECRET"))
SCOPE = os.environ.get("SCOPE", "read")


class Token:
    def __init__(self):
        self.value, self.ends = None, 0.0

    def get(self):
        if time.monotonic() >= self.ends:
            metadata = requests.get(f"{ISSUER}/.well-known/openid-configuration", timeout=10)
            metadata.raise_for_status()
            # `resource` is the API's identifier at Signet: the token is for this API and no other.
            form = {"grant_type": "client_credentials", "scope": SCOPE, "resource": os.environ.get("RESOURCE", API)}
            answer = requests.post(metadata.json()["token_endpoint"], data=form, auth=CLIENT, timeout=10)
            answer.raise_for_status()
            self.value = answer.json()["access_token"]
            self.ends = time.monotonic() + answer.json()["expires_in"] - 30
        return self.value


token = Token()
headers = {"Authorization": f"Bearer {token.get()}"}
answer = requests.get(f"{API}/orders/1", headers=headers, timeout=10, allow_redirects=False)
print(answer.status_code, answer.text)
raise SystemExit(answer.status_code >= 300)
