//! Decides the next step of an authorization request. It is one pure function, so that prompt, `max_age`, hints,
//! authentication context classes and consent can be tested as a table (OpenID Connect Core §3.1.2.1, §3.1.2.3,
//! §3.1.2.4, §5.5.1.1; RFC 9470 §5).

use crate::domain::interaction::{AuthorizationRequest, InteractionProgress};
use crate::domain::permissions::Permissions;
use crate::domain::session::Session;
use crate::protocol::error::{ErrorCode, OAuthError};

/// The next step. `S` is the session for which the response is issued.
#[derive(Clone, Debug)]
pub enum InteractionStep<S = ()> {
    /// The user has to sign in, again if there is a session.
    Login,
    /// The user has to create an account, or say that they have one.
    SignUp,
    SelectAccount,
    Consent,
    /// The user may not use the client (`allowed_groups`).
    NotAdmitted,
    Issue(S),
    Reject(OAuthError),
}

impl<S> InteractionStep<S> {
    /// Returns the step without the session.
    pub fn forget(self) -> InteractionStep {
        match self {
            Self::Login => InteractionStep::Login,
            Self::SignUp => InteractionStep::SignUp,
            Self::SelectAccount => InteractionStep::SelectAccount,
            Self::Consent => InteractionStep::Consent,
            Self::NotAdmitted => InteractionStep::NotAdmitted,
            Self::Issue(_) => InteractionStep::Issue(()),
            Self::Reject(error) => InteractionStep::Reject(error),
        }
    }
}

/// What may be issued without asking the user again.
#[derive(Clone, Debug)]
pub enum PriorConsent {
    /// Everything, for a first-party client. If the redirect URI does not identify the client, the user must have
    /// interacted for this request (RFC 8252 §8.6: not "without user consent or interaction").
    Trusted {
        identified: bool,
    },
    /// What the user has already allowed, if the redirect URI identifies the client.
    Remembered(Permissions),
    Nothing,
    /// Nothing: the user may not use the client, whatever they have allowed it.
    NotAdmitted,
}

/// Returns the next step. The session is judged at the time at which it was read, by the database's clock, which also
/// set its timestamps.
pub fn next_step<'s>(
    request: &AuthorizationRequest,
    session: Option<&'s Session>,
    progress: &InteractionProgress,
    prior: &PriorConsent,
) -> InteractionStep<&'s Session> {
    let silent = request.prompt.none;
    let ask = |step, code, text: &'static str| {
        if silent { InteractionStep::Reject(OAuthError::new(code, text)) } else { step }
    };
    let first = || if request.prompt.create { InteractionStep::SignUp } else { InteractionStep::Login };
    let login = || ask(first(), ErrorCode::LoginRequired, "Nobody is signed in who fits the request.");

    let Some(session) = session.filter(|session| session.is_active(session.read_at)) else { return login() };
    // Whether this session was signed in for this request. Only that satisfies `prompt=login` or an exceeded `max_age`.
    let fresh = progress.signed_in_at.is_some_and(|at| session.auth_time >= at);
    let too_old = request.max_age.is_some_and(|age| !session.has_recent_sign_in(age));
    let another = request.hinted.is_some_and(|hinted| hinted != session.user);
    if another && fresh {
        // The user signed in is not the one the client named, so the client must not get tokens for this user.
        return InteractionStep::Reject(OAuthError::new(
            ErrorCode::LoginRequired,
            "Another person signed in than id_token_hint names.",
        ));
    }
    let met = request.acr.satisfied_by(session.method.acr()).is_some();
    if request.acr.essential && !met && (fresh || request.acr.values.is_empty()) {
        // OpenID Connect Core §5.5.1.1, OpenID Connect Unmet Authentication Requirements §2.
        return InteractionStep::Reject(OAuthError::new(
            ErrorCode::UnmetAuthenticationRequirements,
            "The sign-in is not of a class that the app insists on.",
        ));
    }
    // RFC 9470 §5: a stronger sign-in is requested once. A voluntary class does not make a silent request fail.
    let stronger = !met && !request.acr.values.is_empty() && (request.acr.essential || !silent);
    let asked_again = request.prompt.login || request.prompt.create || progress.use_another_account;
    if another || (!fresh && (stronger || too_old || asked_again)) {
        return login();
    }
    if request.prompt.select_account && !fresh && progress.selected != Some(session.user) {
        return InteractionStep::SelectAccount;
    }
    if matches!(prior, PriorConsent::NotAdmitted) {
        return InteractionStep::NotAdmitted;
    }
    let asked_now = progress.consented == Some(session.user);
    let allowed_before = match prior {
        PriorConsent::Trusted { identified } => *identified || fresh || progress.selected == Some(session.user),
        PriorConsent::Remembered(permissions) => {
            !request.prompt.consent && request.required_consent().is_subset(permissions)
        }
        PriorConsent::Nothing | PriorConsent::NotAdmitted => false,
    };
    if !asked_now && !allowed_before {
        return ask(InteractionStep::Consent, ErrorCode::ConsentRequired, "The person has not allowed this yet.");
    }
    InteractionStep::Issue(session)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseError;

    use super::{InteractionStep, PriorConsent, next_step};
    use crate::domain::authorization::{Acr, SignInMethod};
    use crate::domain::claims_request::{RequestedAcr, RequestedClaims};
    use crate::domain::client_metadata::ResponseType;
    use crate::domain::ids::{ClientId, SessionId, UserId};
    use crate::domain::interaction::{AuthorizationRequest, InteractionProgress, Prompt, ReplyTo, ResponseMode};
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
            acr: RequestedAcr::default(),
            claims: RequestedClaims::default(),
            versions: crate::domain::version::Versions::default(),
            pushed: None,
        };
        change(&mut request);
        request
    }

    /// A session of Alice that was signed in that many seconds ago.
    fn session(seconds: i64) -> Session {
        let then = NOW.plus_seconds(-seconds);
        Session {
            digest: Digest([0; 32]),
            id: SessionId(uuid::Uuid::from_u128(3)),
            user: ALICE,
            auth_time: then,
            method: SignInMethod::Password,
            passkey: None,
            used_strongest_method: true,
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

    fn prior(allowed: &str) -> PriorConsent {
        match allowed {
            "trusted" => PriorConsent::Trusted { identified: true },
            "trusted on a device" => PriorConsent::Trusted { identified: false },
            "nothing" => PriorConsent::Nothing,
            "not admitted" => PriorConsent::NotAdmitted,
            remembered => PriorConsent::Remembered(general(remembered)),
        }
    }

    fn step(
        request: &AuthorizationRequest,
        session: Option<&Session>,
        progress: &InteractionProgress,
        allowed: &str,
    ) -> String {
        match next_step(request, session, progress, &prior(allowed)) {
            InteractionStep::Login => "login".into(),
            InteractionStep::SignUp => "sign up".into(),
            InteractionStep::SelectAccount => "select".into(),
            InteractionStep::Consent => "consent".into(),
            InteractionStep::NotAdmitted => "not admitted".into(),
            InteractionStep::Issue(_) => "issue".into(),
            InteractionStep::Reject(error) => error.code.as_str().into(),
        }
    }

    /// OpenID Connect Core §3.1.2.1 and §3.1.2.3, row by row.
    #[test]
    fn next_step_follows_prompt_max_age_and_hints() {
        let (none, fresh, old) = (None, Some(session(0)), Some(session(100)));
        let signed_in = InteractionProgress { signed_in_at: Some(NOW), ..InteractionProgress::default() };
        let nothing = InteractionProgress::default();
        let consented = InteractionProgress { consented: Some(ALICE), ..InteractionProgress::default() };
        let by_bob = InteractionProgress { consented: Some(BOB), ..InteractionProgress::default() };
        let chosen = InteractionProgress { selected: Some(ALICE), ..InteractionProgress::default() };
        let another = InteractionProgress { use_another_account: true, ..InteractionProgress::default() };
        let all = "openid email profile";
        let prompt = |set: fn(&mut Prompt)| request(|request| set(&mut request.prompt));
        let plain = request(|_| {});
        let aged = |age| request(move |request| request.max_age = Some(age));
        let hinted = |user| request(move |request| request.hinted = Some(user));
        let asking = |values: &[Acr], essential| {
            let acr = RequestedAcr { values: values.to_vec(), essential };
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
            // The current session is not the one signed in for this request.
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
            // The current session was signed in with a password.
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
            // RFC 8252 §8.6: the redirect URI does not identify the client.
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
    fn ended_session_requires_login() {
        let mut ended = session(10);
        ended.idle_until = NOW;
        assert_eq!(step(&request(|_| {}), Some(&ended), &InteractionProgress::default(), "trusted"), "login");
    }

    fn progress() -> impl Strategy<Value = InteractionProgress> {
        let user = || prop_oneof![Just(None), Just(Some(ALICE)), Just(Some(BOB))];
        (proptest::option::of(-200i64..10), user(), user(), any::<bool>()).prop_map(
            |(signed_in, selected, consented, use_another_account)| InteractionProgress {
                signed_in_at: signed_in.map(|seconds| NOW.plus_seconds(seconds)),
                selected,
                consented,
                use_another_account,
                sign_in: None,
            },
        )
    }

    proptest! {
        /// T17: whatever pages were visited, tokens are issued only if every requirement of the request is met.
        #[test]
        fn issuing_respects_every_request_constraint(
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
            // `check` rejects `none` combined with other values.
            let none = none && !(login || consent || select || create);
            let request = request(|request| {
                request.prompt = Prompt { none, login, consent, select_account: select, create };
                (request.max_age, request.hinted) = (max_age, hinted);
            });
            let session = session(age);
            match next_step(&request, Some(&session), &progress, &prior(allowed)) {
                InteractionStep::Issue(for_whom) => {
                    let fresh = progress.signed_in_at.is_some_and(|at| session.auth_time >= at);
                    prop_assert_eq!(for_whom.user, ALICE);
                    prop_assert!(hinted.is_none_or(|hinted| hinted == ALICE));
                    prop_assert!(fresh || max_age.is_none_or(|max_age| age <= max_age));
                    prop_assert!(fresh || !(login || create));
                    let asked = progress.consented == Some(ALICE);
                    let allowed_before = match prior(allowed) {
                        PriorConsent::Trusted { identified } => identified || fresh || progress.selected == Some(ALICE),
                        PriorConsent::Remembered(allowed) => request.permissions.is_subset(&allowed) && !consent,
                        PriorConsent::Nothing => false,
                        PriorConsent::NotAdmitted => return Err(TestCaseError::fail("issued to a user who is not admitted")),
                    };
                    prop_assert!(asked || allowed_before);
                }
                InteractionStep::Reject(_) => prop_assert!(none || hinted == Some(BOB)),
                InteractionStep::NotAdmitted => prop_assert_eq!(allowed, "not admitted"),
                _ => prop_assert!(!none, "prompt=none shows no page"),
            }
        }
    }
}
