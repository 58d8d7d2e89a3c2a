//! What is next for an authorization request: one pure function, so that prompt, `max_age`, hints, classes and consent are
//! a table (OpenID Connect Core §3.1.2.1, §3.1.2.3, §3.1.2.4, §5.5.1.1; RFC 9470 §5).

use crate::domain::interaction::{AuthorizationRequest, Progress};
use crate::domain::permissions::Permissions;
use crate::domain::session::Session;
use crate::protocol::error::{ErrorCode, OAuthError};

/// What is to be done. `S` is the session that the answer is for.
#[derive(Clone, Debug)]
pub enum Step<S = ()> {
    /// Somebody has to sign in, again where there is a session.
    Login,
    /// Somebody has to make an account, or to say that they have one.
    SignUp,
    SelectAccount,
    Consent,
    /// The user may not use the client (`allowed_groups`).
    NotAdmitted,
    Issue(S),
    Refuse(OAuthError),
}

impl<S> Step<S> {
    /// The step alone.
    pub fn forget(self) -> Step {
        match self {
            Self::Login => Step::Login,
            Self::SignUp => Step::SignUp,
            Self::SelectAccount => Step::SelectAccount,
            Self::Consent => Step::Consent,
            Self::NotAdmitted => Step::NotAdmitted,
            Self::Issue(_) => Step::Issue(()),
            Self::Refuse(error) => Step::Refuse(error),
        }
    }
}

/// What may go on without asking the user again.
#[derive(Clone, Debug)]
pub enum Prior {
    /// Everything: a first-party client. Where the redirect does not identify it, the user has to have done something for
    /// this very request (RFC 8252 §8.6: not "without user consent or interaction").
    Trusted {
        identified: bool,
    },
    /// What the user allowed before, where the redirect identifies the client.
    Remembered(Permissions),
    Nothing,
    /// The user may not use the client, whatever they allow it.
    NotAdmitted,
}

/// Decides. The session is judged by the time at which it was read, by the database's clock like its own times.
pub fn next_step<'s>(
    request: &AuthorizationRequest,
    session: Option<&'s Session>,
    progress: &Progress,
    prior: &Prior,
) -> Step<&'s Session> {
    let silent = request.prompt.none;
    let ask = |step, code, text: &'static str| if silent { Step::Refuse(OAuthError::new(code, text)) } else { step };
    let first = || if request.prompt.create { Step::SignUp } else { Step::Login };
    let login = || ask(first(), ErrorCode::LoginRequired, "Nobody is signed in who fits the request.");

    let Some(session) = session.filter(|session| session.is_alive(session.read_at)) else { return login() };
    // A sign-in made for this request, on this session: the only one that prompt=login and an old session accept.
    let fresh = progress.signed_in_at.is_some_and(|at| session.auth_time >= at);
    let too_old = request.max_age.is_some_and(|age| !session.is_recent(age));
    let another = request.hinted.is_some_and(|hinted| hinted != session.user);
    if another && fresh {
        // They signed in as somebody else than the app named: it must not get that person's tokens for the one it knows.
        return Step::Refuse(OAuthError::new(
            ErrorCode::LoginRequired,
            "Another person signed in than id_token_hint names.",
        ));
    }
    let met = request.acr.answered_by(session.method.acr()).is_some();
    if request.acr.essential && !met && (fresh || request.acr.values.is_empty()) {
        // OpenID Connect Core §5.5.1.1, OpenID Connect Unmet Authentication Requirements §2.
        return Step::Refuse(OAuthError::new(
            ErrorCode::UnmetAuthenticationRequirements,
            "The sign-in is not of a class that the app insists on.",
        ));
    }
    // RFC 9470 §5: a stronger sign-in is asked for once. Where it is only a wish, nobody is bothered in the background.
    let stronger = !met && !request.acr.values.is_empty() && (request.acr.essential || !silent);
    let asked_again = request.prompt.login || request.prompt.create || progress.use_another_account;
    if another || (!fresh && (stronger || too_old || asked_again)) {
        return login();
    }
    if request.prompt.select_account && !fresh && progress.selected != Some(session.user) {
        return Step::SelectAccount;
    }
    if matches!(prior, Prior::NotAdmitted) {
        return Step::NotAdmitted;
    }
    let asked_now = progress.consented == Some(session.user);
    let allowed_before = match prior {
        Prior::Trusted { identified } => *identified || fresh || progress.selected == Some(session.user),
        Prior::Remembered(permissions) => !request.prompt.consent && request.to_be_allowed().within(permissions),
        Prior::Nothing | Prior::NotAdmitted => false,
    };
    if !asked_now && !allowed_before {
        return ask(Step::Consent, ErrorCode::ConsentRequired, "The person has not allowed this yet.");
    }
    Step::Issue(session)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseError;

    use super::{Prior, Step, next_step};
    use crate::domain::authorization::{Acr, SignInMethod};
    use crate::domain::claims_request::{AcrRequest, RequestedClaims};
    use crate::domain::client_metadata::ResponseType;
    use crate::domain::ids::{ClientId, SessionId, UserId};
    use crate::domain::interaction::{AuthorizationRequest, Progress, Prompt, ReplyTo, ResponseMode};
    use crate::domain::permissions::Permissions;
    use crate::domain::scope::Scopes;
    use crate::domain::secret::Digest;
    use crate::domain::session::Session;
    use crate::env::Timestamp;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
    const ALICE: UserId = UserId(uuid::Uuid::from_u128(1));
    const BOB: UserId = UserId(uuid::Uuid::from_u128(2));

    fn request(change: impl FnOnce(&mut AuthorizationRequest)) -> AuthorizationRequest {
        let mut request = AuthorizationRequest {
            client: ClientId::parse("web").unwrap(),
            response_type: ResponseType::Code,
            reply_to: ReplyTo {
                redirect_uri: "https://app.example/cb".into(),
                redirect_uri_sent: true,
                mode: ResponseMode::Query,
                state: None,
            },
            permissions: general("openid email"),
            nonce: None,
            challenge: None,
            prompt: Prompt::default(),
            max_age: None,
            login_hint: None,
            hinted: None,
            acr: AcrRequest::default(),
            claims: RequestedClaims::default(),
            versions: crate::domain::version::Versions::default(),
            pushed: None,
        };
        change(&mut request);
        request
    }

    /// Alice's, signed in so many seconds ago.
    fn session(seconds: i64) -> Session {
        let then = NOW.plus_seconds(-seconds);
        Session {
            digest: Digest([0; 32]),
            id: SessionId(uuid::Uuid::from_u128(3)),
            user: ALICE,
            auth_time: then,
            method: SignInMethod::Password,
            passkey: None,
            strongest: true,
            remembered: false,
            created_at: then,
            last_seen: then,
            idle_until: NOW.plus_seconds(60),
            expires_at: NOW.plus_seconds(60),
            address: String::new(),
            user_agent: String::new(),
            data: String::new(),
            read_at: NOW,
        }
    }

    fn general(scopes: &str) -> Permissions {
        Permissions::general(Scopes::parse(scopes).unwrap())
    }

    fn prior(allowed: &str) -> Prior {
        match allowed {
            "trusted" => Prior::Trusted { identified: true },
            "trusted on a device" => Prior::Trusted { identified: false },
            "nothing" => Prior::Nothing,
            "not admitted" => Prior::NotAdmitted,
            remembered => Prior::Remembered(general(remembered)),
        }
    }

    fn step(request: &AuthorizationRequest, session: Option<&Session>, progress: &Progress, allowed: &str) -> String {
        match next_step(request, session, progress, &prior(allowed)) {
            Step::Login => "login".into(),
            Step::SignUp => "sign up".into(),
            Step::SelectAccount => "select".into(),
            Step::Consent => "consent".into(),
            Step::NotAdmitted => "not admitted".into(),
            Step::Issue(_) => "issue".into(),
            Step::Refuse(error) => error.code.as_str().into(),
        }
    }

    /// OpenID Connect Core §3.1.2.1 and §3.1.2.3, row by row.
    #[test]
    fn each_prompt_age_and_hint_asks_for_its_page() {
        let (none, fresh, old) = (None, Some(session(0)), Some(session(100)));
        let signed_in = Progress { signed_in_at: Some(NOW), ..Progress::default() };
        let nothing = Progress::default();
        let consented = Progress { consented: Some(ALICE), ..Progress::default() };
        let by_bob = Progress { consented: Some(BOB), ..Progress::default() };
        let chosen = Progress { selected: Some(ALICE), ..Progress::default() };
        let another = Progress { use_another_account: true, ..Progress::default() };
        let all = "openid email profile";
        let prompt = |set: fn(&mut Prompt)| request(|request| set(&mut request.prompt));
        let plain = request(|_| {});
        let aged = |age| request(move |request| request.max_age = Some(age));
        let hinted = |user| request(move |request| request.hinted = Some(user));
        let asking = |values: &[Acr], essential| {
            let acr = AcrRequest { values: values.to_vec(), essential };
            request(move |request| request.acr = acr)
        };
        for (row, request, session, progress, allowed, expected) in [
            (1, &plain, &none, &nothing, all, "login"),
            (2, &plain, &old, &nothing, all, "issue"),
            (3, &plain, &old, &nothing, "trusted", "issue"),
            (3, &plain, &old, &consented, "not admitted", "not admitted"),
            (3, &plain, &none, &nothing, "not admitted", "login"),
            (3, &prompt(|p| p.none = true), &old, &nothing, "not admitted", "not admitted"),
            (3, &prompt(|p| p.select_account = true), &old, &nothing, "not admitted", "select"),
            (4, &plain, &old, &nothing, "openid", "consent"),
            (5, &plain, &old, &nothing, "", "consent"),
            (6, &plain, &old, &consented, "", "issue"),
            (7, &plain, &old, &by_bob, "", "consent"),
            (8, &prompt(|p| p.none = true), &none, &nothing, all, "login_required"),
            (9, &prompt(|p| p.none = true), &old, &nothing, "openid", "consent_required"),
            (10, &prompt(|p| p.none = true), &old, &nothing, all, "issue"),
            (11, &prompt(|p| p.login = true), &old, &nothing, all, "login"),
            (12, &prompt(|p| p.login = true), &fresh, &nothing, all, "login"),
            (13, &prompt(|p| p.login = true), &fresh, &signed_in, all, "issue"),
            // The sign-in for this request is not the session that is here now.
            (14, &prompt(|p| p.login = true), &old, &signed_in, all, "login"),
            (15, &prompt(|p| p.consent = true), &old, &nothing, all, "consent"),
            (16, &prompt(|p| p.consent = true), &old, &consented, all, "issue"),
            (17, &prompt(|p| p.consent = true), &old, &nothing, "trusted", "issue"),
            (18, &prompt(|p| p.select_account = true), &old, &nothing, all, "select"),
            (19, &prompt(|p| p.select_account = true), &old, &chosen, all, "issue"),
            (20, &prompt(|p| p.select_account = true), &old, &another, all, "login"),
            (21, &prompt(|p| p.select_account = true), &fresh, &signed_in, all, "issue"),
            (22, &aged(50), &old, &nothing, all, "login"),
            (23, &aged(100), &old, &nothing, all, "issue"),
            (24, &aged(0), &fresh, &nothing, all, "issue"),
            (25, &aged(0), &old, &signed_in, all, "login"),
            (26, &hinted(ALICE), &old, &nothing, all, "issue"),
            (27, &hinted(BOB), &old, &nothing, all, "login"),
            (28, &hinted(BOB), &fresh, &signed_in, all, "login_required"),
            // The session here is a password's.
            (29, &asking(&[Acr::Password], true), &old, &nothing, all, "issue"),
            (30, &asking(&[Acr::PhishingResistant], true), &old, &nothing, all, "login"),
            (
                31,
                &asking(&[Acr::PhishingResistant], true),
                &fresh,
                &signed_in,
                all,
                "unmet_authentication_requirements",
            ),
            (32, &asking(&[], true), &old, &nothing, all, "unmet_authentication_requirements"),
            (33, &asking(&[Acr::PhishingResistant], false), &old, &nothing, all, "login"),
            (34, &asking(&[Acr::PhishingResistant], false), &fresh, &signed_in, all, "issue"),
            (35, &asking(&[Acr::PhishingResistant, Acr::Password], false), &old, &nothing, all, "issue"),
            (36, &prompt(|p| p.create = true), &none, &nothing, all, "sign up"),
            (37, &prompt(|p| p.create = true), &fresh, &nothing, all, "sign up"),
            (38, &prompt(|p| p.create = true), &fresh, &signed_in, all, "issue"),
            (39, &prompt(|p| p.create = true), &old, &signed_in, all, "sign up"),
            (40, &prompt(|p| (p.create, p.consent) = (true, true)), &fresh, &signed_in, all, "consent"),
            // RFC 8252 §8.6: a redirect that does not identify the client.
            (41, &plain, &old, &nothing, "nothing", "consent"),
            (42, &plain, &fresh, &signed_in, "nothing", "consent"),
            (43, &plain, &old, &consented, "nothing", "issue"),
            (44, &prompt(|p| p.none = true), &old, &nothing, "nothing", "consent_required"),
            (45, &plain, &old, &nothing, "trusted on a device", "consent"),
            (46, &plain, &fresh, &signed_in, "trusted on a device", "issue"),
            (47, &prompt(|p| p.select_account = true), &old, &chosen, "trusted on a device", "issue"),
            (48, &prompt(|p| p.none = true), &old, &nothing, "trusted on a device", "consent_required"),
        ] {
            assert_eq!(step(request, session.as_ref(), progress, allowed), expected, "row {row}");
        }
    }

    #[test]
    fn a_session_that_has_ended_is_none() {
        let mut ended = session(10);
        ended.idle_until = NOW;
        assert_eq!(step(&request(|_| {}), Some(&ended), &Progress::default(), "trusted"), "login");
    }

    fn progress() -> impl Strategy<Value = Progress> {
        let user = || prop_oneof![Just(None), Just(Some(ALICE)), Just(Some(BOB))];
        (proptest::option::of(-200i64..10), user(), user(), any::<bool>()).prop_map(
            |(signed_in, selected, consented, use_another_account)| Progress {
                signed_in_at: signed_in.map(|seconds| NOW.plus_seconds(seconds)),
                selected,
                consented,
                use_another_account,
                sign_in: None,
            },
        )
    }

    proptest! {
        /// T17: whatever pages were gone through, tokens are issued only where each promise of the request holds.
        #[test]
        fn nothing_is_issued_against_the_request(
            (none, login, consent, select, create) in any::<(bool, bool, bool, bool, bool)>(),
            max_age in proptest::option::of(0i64..300),
            hinted in prop_oneof![Just(None), Just(Some(ALICE)), Just(Some(BOB))],
            age in 0i64..300,
            progress in progress(),
            allowed in prop_oneof![
                Just("trusted"), Just("trusted on a device"), Just("nothing"), Just(""), Just("openid"), Just("openid email"),
                Just("not admitted"),
            ],
        ) {
            // What `check` lets through: none stands alone.
            let none = none && !(login || consent || select || create);
            let request = request(|request| {
                request.prompt = Prompt { none, login, consent, select_account: select, create };
                (request.max_age, request.hinted) = (max_age, hinted);
            });
            let session = session(age);
            match next_step(&request, Some(&session), &progress, &prior(allowed)) {
                Step::Issue(for_whom) => {
                    let fresh = progress.signed_in_at.is_some_and(|at| session.auth_time >= at);
                    prop_assert_eq!(for_whom.user, ALICE);
                    prop_assert!(hinted.is_none_or(|hinted| hinted == ALICE));
                    prop_assert!(fresh || max_age.is_none_or(|max_age| age <= max_age));
                    prop_assert!(fresh || !(login || create));
                    let asked = progress.consented == Some(ALICE);
                    let allowed_before = match prior(allowed) {
                        Prior::Trusted { identified } => identified || fresh || progress.selected == Some(ALICE),
                        Prior::Remembered(allowed) => request.permissions.within(&allowed) && !consent,
                        Prior::Nothing => false,
                        Prior::NotAdmitted => return Err(TestCaseError::fail("issued to a user who is not admitted")),
                    };
                    prop_assert!(asked || allowed_before);
                }
                Step::Refuse(_) => prop_assert!(none || hinted == Some(BOB)),
                Step::NotAdmitted => prop_assert_eq!(allowed, "not admitted"),
                _ => prop_assert!(!none, "prompt=none shows no page"),
            }
        }
    }
}
