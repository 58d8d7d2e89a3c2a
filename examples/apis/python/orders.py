"""An API with Flask that lets in who has an access token of Signet (RFC 9068), verified with Authlib.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    ISSUER=http://localhost:8080 AUDIENCE=https://orders.example.com venv/bin/flask --app orders run --port 9000

Reading takes the scope `read`, writing the scope `write`; nothing is asked of who looks at /healthz.
"""

import json
import os
import socket
import threading
import time
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

from authlib.integrations.flask_oauth2 import ResourceProtector, current_token
from authlib.integrations.flask_oauth2.errors import raise_http_exception
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6750.errors import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from flask import Flask, request
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import extract_compact

ISSUER = os.environ.get("ISSUER", "http://localhost:8080")
AUDIENCE = os.environ.get("AUDIENCE", "https://orders.example.com")
LIFETIME = 300  # Seconds after which the keys are fetched again, while requests go on.
# Seconds after which they are not used any more: one that was taken out must not count for ever while we cannot ask.
MAX_AGE = float(os.environ.get("MAX_AGE", "86400"))
# A token that names an unknown key makes us ask at once, but not more often than this: anybody can send such tokens.
COOLDOWN = float(os.environ.get("COOLDOWN", "5"))
PAUSE = 6 * COOLDOWN  # Seconds after a failure, while there are keys that may be used.
TIMEOUT = 5  # Seconds for the metadata and the keys together, however slowly they come.
MAX_BYTES = 256 * 1024


class Unavailable(OAuth2Error):
    error = "temporarily_unavailable"
    description = "Tokens cannot be verified now."
    status_code = 503


class Keys:
    """The issuer's keys. While it does not answer, those that are known go on being good for a day.

    One thread asks; its failure answers all that wait for it, and whose key is known does not wait.
    """

    def __init__(self, issuer):
        self.issuer, self.lock, self.asking = issuer, threading.Lock(), None
        self.known, self.kids, self.got, self.ended = None, set(), float("-inf"), float("-inf")
        self.pause = COOLDOWN

    def get(self, kid):
        with self.lock:
            now = time.monotonic()
            usable = self.known is not None and now - self.got < MAX_AGE
            has_it = usable and kid in self.kids
            pause = self.pause if usable else min(COOLDOWN, 5)
            if not (has_it and now - self.got < LIFETIME) and self.asking is None and now - self.ended >= pause:
                asking = threading.Event()
                threading.Thread(target=self.ask, args=(asking,), daemon=True).start()
                self.asking = asking
            asking = self.asking
        if asking is not None and not has_it:
            asking.wait(15)
        with self.lock:
            if self.known is None or time.monotonic() - self.got >= MAX_AGE:
                raise Unavailable()
            return self.known

    def ask(self, done):
        found = None
        try:
            found = self.fetch()
        except Exception as error:  # An odd answer may lead to any.
            print(f"the keys of {self.issuer} cannot be had: {error!r}", flush=True)
        finally:
            with self.lock:
                self.asking, self.ended = None, time.monotonic()
                self.pause = COOLDOWN if found else PAUSE
                if found:
                    (self.known, self.kids), self.got = found, self.ended
            done.set()

    def fetch(self):
        deadline = time.monotonic() + TIMEOUT
        metadata = fetch_json(f"{self.issuer}/.well-known/openid-configuration", deadline)
        if metadata["issuer"] != self.issuer:
            raise ValueError("the metadata are of another issuer")
        jwks = fetch_json(metadata["jwks_uri"], deadline)
        # Only those for access tokens, which Signet signs with ES256.
        keys = [key for key in jwks["keys"] if key.get("alg") == "ES256" and key.get("use") == "sig"]
        return KeySet.import_key_set({"keys": keys}), {key["kid"] for key in keys}


def fetch_json(url, deadline):
    """A socket's timeout applies to each read, so a host that sends a byte now and then could go on for ever. At the
    deadline the connection is closed, which ends the read."""
    address = urlsplit(url)
    connect = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = connect(address.netloc, timeout=max(deadline - time.monotonic(), 0.1))
    connection.connect()
    opened = connection.sock
    timer = threading.Timer(max(deadline - time.monotonic(), 0), close, [opened])
    timer.daemon = True
    timer.start()
    try:
        target = address._replace(scheme="", netloc="", fragment="").geturl()
        connection.request("GET", target or "/", headers={"Accept": "application/json"})
        response = connection.getresponse()
        body = response.read(MAX_BYTES + 1)
    finally:
        timer.cancel()
        connection.close()
    if response.status != 200 or len(body) > MAX_BYTES:
        raise ValueError(f"{url} answers {response.status} and {len(body)} bytes")
    if time.monotonic() > deadline:
        raise TimeoutError(f"{url} is slow")
    return json.loads(body)


def close(opened):
    try:
        socket.socket.shutdown(opened, socket.SHUT_RDWR)
    except OSError:
        pass  # It is closed.


class AccessTokens(JWTBearerTokenValidator):
    """Signature, `iss`, `aud`, `exp` and the rest of RFC 9068 are Authlib's; here is what it leaves open."""

    def __init__(self, issuer, audience):
        super().__init__(issuer, audience)
        self.keys, self.of_token = Keys(issuer), threading.local()

    def get_jwks(self):
        return self.keys.get(self.of_token.kid)

    def authenticate_token(self, token_string):
        try:
            header = extract_compact(token_string.encode()).headers()
        except (JoseError, ValueError) as error:
            raise InvalidTokenError() from error
        kid, typ = header.get("kid"), header.get("typ")
        # Authlib would take a token without `typ`, such as an ID token may be, and one by any algorithm.
        if typ not in ("at+jwt", "application/at+jwt") or header.get("alg") != "ES256" or not isinstance(kid, str):
            raise InvalidTokenError()
        self.of_token.kid = kid
        return super().authenticate_token(token_string)

    def validate_token(self, token, scopes, request, **kwargs):
        if token and "cnf" in token:
            # Bound to a certificate (RFC 8705): nothing without it, and nobody shows one here.
            raise InvalidTokenError()
        try:
            super().validate_token(token, scopes, request, **kwargs)
        except InsufficientScopeError as error:
            error.scope = scopes[0]
            raise


class Protector(ResourceProtector):
    """Challenges as RFC 6750 §3 has them: no `error` for who sent nothing, the scope for who may ask for more."""

    def raise_error_response(self, error):
        challenge = f'Bearer realm="{AUDIENCE}"'
        if isinstance(error, (InvalidTokenError, InsufficientScopeError)):
            challenge += f', error="{error.error}"'
        if isinstance(error, InsufficientScopeError):
            challenge += f', scope="{error.scope}"'
        headers = [("Content-Type", "application/json")]
        if error.status_code in (401, 403):
            headers.append(("WWW-Authenticate", challenge))
        if error.status_code == 503:
            headers.append(("Retry-After", "5"))
        raise_http_exception(error.status_code, json.dumps(dict(error.get_body())), headers)


require = Protector()
require.register_token_validator(AccessTokens(ISSUER, AUDIENCE))
app = Flask(__name__)


@app.get("/orders")
@require("read")
def orders():
    return {"subject": current_token["sub"], "client": current_token["client_id"]}


@app.post("/orders")
@require("write")
def order():
    return {"subject": current_token["sub"], "ordered": request.get_json()}, 201


@app.get("/healthz")
def health():
    return {"ok": True}
