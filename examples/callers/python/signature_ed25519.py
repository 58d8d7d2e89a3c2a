"""HTTP Message Signatures (RFC 9421) with ed25519: Signet has the public key alone."""

import os
import pathlib
import secrets

import requests
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

API = os.environ["API"]  # https://orders.example.com
KEY = pathlib.Path(os.environ["KEY_FILE"]).read_bytes()  # PEM: openssl genpkey -algorithm ed25519

COVERED = ("@method", "@target-uri")  # And content-digest, wherever there is a body.


class Keys(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id):
        return KEY


class Signed(requests.auth.AuthBase):
    """Signs each request when everything else of it is there."""

    def __init__(self, key_id):
        self.key_id = key_id
        self.signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=Keys())

    def __call__(self, request):
        body = request.body.encode() if isinstance(request.body, str) else request.body
        if body is None and request.method in ("POST", "PUT", "PATCH"):
            body = b""  # These say that there is no body, so that nobody puts one in.
        nonce = secrets.token_urlsafe(18)  # Good once, so a request that is sent again is signed again.
        self.signer.sign(request, key_id=self.key_id, nonce=nonce, covered_component_ids=COVERED, body=body)
        return request


# A signature is for one address: no redirect takes it elsewhere.
options = {"auth": Signed(os.environ["KEY_ID"]), "timeout": 10, "allow_redirects": False}
answers = [
    requests.get(f"{API}/orders/1?a=b%20c", **options),
    requests.post(f"{API}/orders", json={"item": 7}, **options),
    requests.post(f"{API}/orders/1/cancel", **options),
]
for answer in answers:
    print(answer.status_code, answer.text)
raise SystemExit(any(answer.status_code >= 300 for answer in answers))
