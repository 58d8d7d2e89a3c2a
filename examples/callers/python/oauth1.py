"""OAuth 1.0 (RFC 5849) by HMAC-SHA256 and without a token: for APIs whose old callers sign so. Prefer message signatures."""

import base64
import hashlib
import hmac
import os
import secrets
import time
from urllib.parse import parse_qsl, quote, urlsplit

import requests

API = os.environ["API"]  # https://orders.example.com
KEY_ID = os.environ["KEY_ID"]
SECRET = base64.b64decode(os.environ["SECRET"])


def encoded(text):
    return quote(text, safe="-._~")


def authorization(method, url):
    oauth = {
        "oauth_consumer_key": KEY_ID,
        "oauth_nonce": secrets.token_urlsafe(16),
        "oauth_signature_method": "HMAC-SHA256",
        "oauth_timestamp": str(int(time.time())),
        "oauth_version": "1.0",
    }
    at = urlsplit(url)
    pairs = [*parse_qsl(at.query, keep_blank_values=True), *oauth.items()]
    parameters = "&".join("=".join(pair) for pair in sorted((encoded(name), encoded(value)) for name, value in pairs))
    base = "&".join(encoded(part) for part in (method, f"{at.scheme}://{at.netloc}{at.path}", parameters))
    key = encoded(SECRET.decode("latin-1")) + "&"
    oauth["oauth_signature"] = base64.b64encode(hmac.digest(key.encode(), base.encode(), hashlib.sha256)).decode()
    return "OAuth " + ", ".join(f'{name}="{encoded(value)}"' for name, value in oauth.items())


url = f"{API}/orders/1?a=b%20c"
answer = requests.get(url, headers={"Authorization": authorization("GET", url)}, timeout=10, allow_redirects=False)
print(answer.status_code, answer.text)
raise SystemExit(answer.status_code >= 300)
