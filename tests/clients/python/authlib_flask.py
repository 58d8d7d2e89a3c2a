"""Authlib in Flask: `register` with the discovery document, the client_id, the secret and scopes. It authenticates by
client_secret_basic. AUTHLIB_INSECURE_TRANSPORT is what it offers for plain http. It refreshes by itself, when a request finds
the access token expired; of logout it has nothing."""

import os
from urllib.parse import urlencode

from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, session

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
ISSUER, ORIGIN = os.environ["ISSUER"], os.environ["ORIGIN"]



def keep(token, refresh_token=None, access_token=None):
    session["refresh_token"] = token["refresh_token"]


app = Flask(__name__)
app.secret_key = "of the session cookie"
oauth = OAuth(app)
oauth.register(
    "signet",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url=f"{ISSUER}/.well-known/openid-configuration",
    update_token=keep,
    client_kwargs={"scope": "openid profile email offline_access"},
)


@app.get("/")
def claims():
    return session.get("claims") or ({}, 401)


@app.get("/login")
def login():
    return oauth.signet.authorize_redirect(f"{ORIGIN}/callback")


@app.get("/callback")
def callback():
    token = oauth.signet.authorize_access_token()
    claims = oauth.signet.userinfo(token=token)
    assert claims["sub"] == token["userinfo"]["sub"]
    session.update(claims=claims, id_token=token["id_token"], refresh_token=token["refresh_token"])
    return redirect("/")


@app.get("/refresh")
def refresh():
    expired = {"access_token": "old", "token_type": "Bearer", "refresh_token": session["refresh_token"], "expires_at": 1}
    user = oauth.signet.userinfo(token=expired)
    return [{"sub": user["sub"], "refresh_token": session["refresh_token"]}]


@app.get("/logout")
def logout():
    endpoint = oauth.signet.load_server_metadata()["end_session_endpoint"]
    hint = {"id_token_hint": session["id_token"], "post_logout_redirect_uri": f"{ORIGIN}/"}
    session.clear()
    return redirect(f"{endpoint}?{urlencode(hint)}")


app.run(port=int(os.environ["PORT"]))
