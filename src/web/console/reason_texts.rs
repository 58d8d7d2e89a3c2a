//! An explanation of each reason for which the gate rejects requests, and what an administrator can do.

use crate::gate::decision::Reason;
use crate::gate::metrics;

/// The explanation and the remedy.
pub type ReasonText = (&'static str, &'static str);

/// Returns the text for a reason by its name in the record.
pub fn named(reason: &str) -> ReasonText {
    match Reason::parse(reason) {
        Some(reason) => of(reason),
        None if reason == metrics::UNAVAILABLE => {
            ("Nothing could be decided.", "The database did not answer. The log of that time says why.")
        }
        None => ("An older or newer version refused it.", "Nothing is known here about that reason."),
    }
}

const fn of(reason: Reason) -> ReasonText {
    match reason {
        Reason::UntrustedProxy => (
            "Whoever asked is no proxy that may ask.",
            "If the address is your proxy’s, name it in the setting trusted_proxies and start the server again. If it is \
             not, somebody asked the gate directly, and learned nothing.",
        ),
        Reason::UnknownGate => (
            "The proxy asked for a gate that there is none of.",
            "Compare the last part of the address at which the proxy asks with the name of the gate on the API’s page.",
        ),
        Reason::TooLarge => (
            "The headers of the request are longer than 64 KB.",
            "Look at what the caller sends: cookies of many apps on one host, mostly. The proxy can leave out those that \
             the API has no use for.",
        ),
        Reason::MalformedRequest => (
            "It could not be told which request it was.",
            "nginx says it by X-Original-Method and X-Original-URL, Traefik and Caddy by X-Forwarded-Method, -Proto, -Host \
             and -Uri, each of them once. Compare the proxy’s configuration with the guide. Where others get through, the \
             caller sent a host or an address that is none.",
        ),
        Reason::AmbiguousPath => (
            "Its path can be read in more than one way.",
            "The caller has to send it without segments of dots, empty segments, encoded or encoded-again slashes, \
             backslashes and semicolons. No rule can let it in.",
        ),
        Reason::MalformedCredential => (
            "The credential could not be read.",
            "The caller has to look at the form of what it sends: one Authorization or X-API-Key header, in ASCII, with \
             the scheme before the value.",
        ),
        Reason::TwoCredentials => (
            "It came with two credentials.",
            "The caller has to send one of them. Look for a library or a proxy that adds its own beside the caller’s.",
        ),
        Reason::TooManyRequests => (
            "The caller asked more often than the API allows.",
            "Its limit counts all credentials of one owner together, and failed ones by address. The caller may wait as \
             long as Retry-After says; if everybody meets the limit, it is set too low on the API’s page.",
        ),
        Reason::TooManyFailures => (
            "A hundred wrong secrets or keys came from that address, so no further one is looked at.",
            "Credentials that were right before still get in from there, and all of them from elsewhere. It is over after \
             fifteen minutes at most. Look at what else was refused from the address: somebody guesses, or a program there \
             makes up its credentials.",
        ),
        Reason::NoCredential => (
            "It came without a credential, and no rule lets anybody in there.",
            "The caller has to prove who they are in one of the ways that the API accepts. If anybody may do this, add a \
             rule for it. Browsers ask with OPTIONS first (CORS): that needs a rule of its own.",
        ),
        Reason::InvalidCredential => (
            "The credential is unknown, expired, revoked or not for this API.",
            "Look whether the way is ticked on the API’s page, whether the app and the person are turned on, and whether \
             the token was asked for this API (resource) and is still alive. A new one mends the rest. The caller is not \
             told which of these it was, and neither is the record.",
        ),
        Reason::NoRule => (
            "It is known who it was, but no rule is for that method and path.",
            "Try the request on the API’s page. Letter case counts, and /orders is not /orders/. If it should get in, add \
             a rule.",
        ),
        Reason::InsufficientScope => (
            "The credential lacks a scope that the rule asks for.",
            "The app has to ask for that scope, and its settings have to let it. A person has to allow it; a key needs it \
             among its own.",
        ),
        Reason::MissingGroup => (
            "The person is in none of the groups that the rule asks for.",
            "Put them into one on their page; it counts at once. An app that acts for itself is in no group: it needs a \
             rule of its own.",
        ),
        Reason::InsufficientAuthentication => (
            "The person’s sign-in was weaker than the rule asks for.",
            "The app has to send them to sign in again with the acr_values that the answer named. They need a passkey for \
             phr. An app that acts for itself has not signed in at all.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{named, of};
    use crate::gate::decision::Reason;

    #[test]
    fn each_reason_has_words_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for reason in Reason::ALL {
            let (what, mend) = named(reason.as_str());
            assert_eq!((what, mend), of(*reason));
            assert!(what.ends_with('.') && mend.ends_with('.') && seen.insert(what), "{reason:?}");
        }
    }
}
