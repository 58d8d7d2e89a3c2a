// go-oidc with golang.org/x/oauth2 in a web app: the provider by discovery, and an oauth2.Config of client_id, secret, the
// provider's endpoint, redirect URI and scopes. x/oauth2 finds out by itself how to authenticate: by client_secret_basic, then
// by client_secret_post. Of logout it has nothing.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log"
	"net/http"
	"net/url"
	"os"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// What the app keeps of a browser.
type session struct {
	state, nonce, verifier string
	token                  *oauth2.Token
	claims                 map[string]any
}

type app struct {
	provider *oidc.Provider
	config   oauth2.Config
	origin   string
	sessions sync.Map
}

func main() {
	provider, err := oidc.NewProvider(context.Background(), os.Getenv("ISSUER"))
	if err != nil {
		log.Fatal(err)
	}
	origin := os.Getenv("ORIGIN")
	app := &app{provider: provider, origin: origin, config: oauth2.Config{
		ClientID:     os.Getenv("CLIENT_ID"),
		ClientSecret: os.Getenv("CLIENT_SECRET"),
		Endpoint:     provider.Endpoint(),
		RedirectURL:  origin + "/callback",
		Scopes:       []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess},
	}}
	http.HandleFunc("/{$}", app.claims)
	http.HandleFunc("/login", app.login)
	http.HandleFunc("/callback", app.callback)
	http.HandleFunc("/refresh", app.refresh)
	http.HandleFunc("/logout", app.logout)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

func (app *app) session(r *http.Request) *session {
	cookie, err := r.Cookie("go-session")
	if err != nil {
		return &session{}
	}
	found, _ := app.sessions.LoadOrStore(cookie.Value, &session{})
	return found.(*session)
}

func answer(w http.ResponseWriter, status int, value any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func failed(w http.ResponseWriter, err error) bool {
	if err != nil {
		answer(w, http.StatusInternalServerError, err.Error())
	}
	return err != nil
}

func (app *app) claims(w http.ResponseWriter, r *http.Request) {
	if claims := app.session(r).claims; claims != nil {
		answer(w, http.StatusOK, claims)
	} else {
		answer(w, http.StatusUnauthorized, map[string]any{})
	}
}

func (app *app) login(w http.ResponseWriter, r *http.Request) {
	id := rand.Text()
	asked := &session{state: rand.Text(), nonce: rand.Text(), verifier: oauth2.GenerateVerifier()}
	app.sessions.Store(id, asked)
	http.SetCookie(w, &http.Cookie{Name: "go-session", Value: id, Path: "/", HttpOnly: true})
	options := []oauth2.AuthCodeOption{oidc.Nonce(asked.nonce), oauth2.S256ChallengeOption(asked.verifier)}
	http.Redirect(w, r, app.config.AuthCodeURL(asked.state, options...), http.StatusFound)
}

func (app *app) callback(w http.ResponseWriter, r *http.Request) {
	session, query := app.session(r), r.URL.Query()
	if session.state == "" || query.Get("state") != session.state {
		answer(w, http.StatusBadRequest, "the state is another one")
		return
	}
	token, err := app.config.Exchange(r.Context(), query.Get("code"), oauth2.VerifierOption(session.verifier))
	if failed(w, err) {
		return
	}
	raw, _ := token.Extra("id_token").(string)
	verified, err := app.provider.Verifier(&oidc.Config{ClientID: app.config.ClientID}).Verify(r.Context(), raw)
	if failed(w, err) {
		return
	}
	user, err := app.provider.UserInfo(r.Context(), oauth2.StaticTokenSource(token))
	if failed(w, err) {
		return
	}
	if verified.Nonce != session.nonce || user.Subject != verified.Subject {
		answer(w, http.StatusBadRequest, "the ID token is another one's")
		return
	}
	if failed(w, user.Claims(&session.claims)) {
		return
	}
	session.token = token
	http.Redirect(w, r, "/", http.StatusFound)
}

// As the requests of one page that all find the access token expired.
func (app *app) refresh(w http.ResponseWriter, r *http.Request) {
	session := app.session(r)
	expired := &oauth2.Token{RefreshToken: session.token.RefreshToken}
	all, errs := [8]map[string]string{}, [8]error{}
	var group sync.WaitGroup
	for at := range all {
		group.Go(func() {
			source := app.config.TokenSource(r.Context(), expired)
			user, err := app.provider.UserInfo(r.Context(), source)
			if errs[at] = err; err != nil {
				return
			}
			token, _ := source.Token()
			all[at] = map[string]string{"sub": user.Subject, "refresh_token": token.RefreshToken}
		})
	}
	group.Wait()
	for _, err := range errs {
		if failed(w, err) {
			return
		}
	}
	answer(w, http.StatusOK, all)
}

func (app *app) logout(w http.ResponseWriter, r *http.Request) {
	session := app.session(r)
	var document struct {
		Endpoint string `json:"end_session_endpoint"`
	}
	if failed(w, app.provider.Claims(&document)) {
		return
	}
	raw, _ := session.token.Extra("id_token").(string)
	hint := url.Values{"id_token_hint": {raw}, "post_logout_redirect_uri": {app.origin + "/"}}
	session.claims, session.token = nil, nil
	http.Redirect(w, r, document.Endpoint+"?"+hint.Encode(), http.StatusFound)
}
