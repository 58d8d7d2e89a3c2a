//! The usernames that users may choose at sign-up: none that operators or mail need, none that is confusable with a
//! present or former username, only one script, no invisible characters (Unicode Technical Standard #39).
//! Administrators may assign any username that [`Username::parse`] accepts.
//!
//! The tables of UTS #39 come from `unicode-security`, which the Rust compiler uses for its own lints on identifiers.
//! ICU4X has no skeletons. See also [`super::user`], the rules for all usernames, and `store::taken_usernames`, the
//! usernames in use and formerly in use.

use unicode_security::{GeneralSecurityProfile as _, MixedScript as _};

use super::user::Username;

/// Usernames that would make others trust their holder: those of administrators, services and mailboxes (RFC 2142),
/// paths of this program, and words that programs print for a missing name. They are compared by skeleton, without
/// punctuation, with and without trailing digits (`admin1`).
const RESERVED_USERNAMES: &[&str] = &[
    "abuse",
    "account",
    "accounts",
    "admin",
    "administration",
    "administrator",
    "administrators",
    "admins",
    "all",
    "anonymous",
    "anybody",
    "anyone",
    "apache",
    "api",
    "apps",
    "audit",
    "auth",
    "authentication",
    "authorization",
    "backup",
    "billing",
    "bin",
    "ceo",
    "cfo",
    "ciso",
    "console",
    "contact",
    "cto",
    "daemon",
    "database",
    "dba",
    "debian",
    "default",
    "deploy",
    "devnull",
    "dns",
    "docker",
    "ec2user",
    "email",
    "everybody",
    "everyone",
    "false",
    "ftp",
    "games",
    "gate",
    "gateway",
    "git",
    "group",
    "groups",
    "guest",
    "help",
    "helpdesk",
    "host",
    "hostmaster",
    "httpd",
    "info",
    "internal",
    "legal",
    "localhost",
    "log",
    "login",
    "logout",
    "lp",
    "mail",
    "mailerdaemon",
    "man",
    "manager",
    "marketing",
    "moderator",
    "monitor",
    "monitoring",
    "mysql",
    "nan",
    "news",
    "nginx",
    "nil",
    "nobody",
    "noc",
    "none",
    "noreply",
    "null",
    "oauth",
    "oauth2",
    "official",
    "oidc",
    "openid",
    "operator",
    "operators",
    "owner",
    "password",
    "payment",
    "payments",
    "postgres",
    "postmaster",
    "privacy",
    "proxy",
    "public",
    "register",
    "root",
    "sa",
    "sales",
    "security",
    "self",
    "server",
    "service",
    "services",
    "settings",
    "setup",
    "signet",
    "signin",
    "signout",
    "signup",
    "ssh",
    "ssladmin",
    "ssladministrator",
    "sslwebmaster",
    "sso",
    "staff",
    "status",
    "su",
    "sudo",
    "superadmin",
    "superuser",
    "support",
    "sync",
    "sys",
    "sysadmin",
    "sysadministrator",
    "sysop",
    "system",
    "true",
    "trust",
    "ubuntu",
    "undefined",
    "unknown",
    "usenet",
    "user",
    "users",
    "uucp",
    "void",
    "webmaster",
    "wheel",
    "www",
    "wwwdata",
];

/// Returns why a user may not choose this username at sign-up, as a sentence without its subject.
#[must_use]
pub fn sign_up_problem(name: &Username) -> Option<&'static str> {
    let name = name.as_str();
    if name.contains('@') {
        return Some("may not have an @ in it: an email address goes into its own field");
    }
    if !name.chars().all(|c| c.is_ascii() || c.identifier_allowed()) {
        return Some("has a character that is hard to read or to type; use letters and digits of your language");
    }
    if !name.is_single_script() {
        return Some("mixes letters of different scripts; use those of one");
    }
    if is_reserved(name) {
        return Some("is reserved; choose another");
    }
    None
}

/// Returns the skeleton, which is equal for usernames that look alike (UTS #39 §4), ignoring letter case.
#[must_use]
pub fn skeleton(name: &str) -> String {
    // The table maps some letters to capitals: `0` to `O`.
    let once = |text: &str| unicode_security::skeleton(text).collect::<String>().to_lowercase();
    once(&once(name))
}

fn is_reserved(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    // Digits of any script: NFKC does not convert those of other scripts.
    let without_number = plain.trim_end_matches(char::is_numeric);
    let looks = [skeleton(&plain), skeleton(without_number)];
    RESERVED_USERNAMES.iter().any(|word| looks.contains(&skeleton(word)))
}

#[cfg(test)]
mod tests {
    use super::{Username, sign_up_problem, skeleton};

    #[test]
    fn usernames_that_operators_need_are_reserved() {
        for name in [
            "admin",
            "Administrator",
            "ROOT",
            "system",
            "support",
            "security",
            "postmaster",
            "hostmaster",
            "webmaster",
            "signet",
            "null",
            "undefined",
            "no-reply",
            "admin_",
            "adm\u{131}n",
            "r00t",
            "\u{440}\u{43e}\u{43e}t",
            "su",
            "sysop",
            "dba",
            "sa",
            "www-data",
            "nginx",
            "apache",
            "httpd",
            "docker",
            "ubuntu",
            "debian",
            "ec2-user",
            "news",
            "usenet",
            "uucp",
            "lp",
            "man",
            "games",
            "sync",
            "admin1",
            "root2",
            "administrator01",
            "admin-1",
            "r00t_99",
            "admin\u{661}",
        ] {
            assert!(sign_up_problem(&Username::parse(name).unwrap()).is_some(), "{name}");
        }
        for name in [
            "alice",
            "administrata",
            "rooted",
            "bob2",
            "mandy",
            "1984",
            "a-b_c.d+e",
            "\u{5c71}\u{7530}",
            "m\u{fc}ller",
            "алиса",
        ] {
            assert_eq!(sign_up_problem(&Username::parse(name).unwrap()), None, "{name}");
        }
    }

    #[test]
    fn mixed_scripts_and_restricted_characters_are_refused() {
        // Cyrillic а in Latin; Cherokee beside Latin; a letter of a historic script; a mathematical sign that NFKC
        // keeps.
        for name in ["p\u{430}ypal", "\u{13a0}lice", "\u{10330}\u{10331}", "a\u{2c71}b"] {
            let parsed = Username::parse(name);
            assert!(parsed.is_err() || sign_up_problem(&parsed.unwrap()).is_some(), "{name:?}");
        }
        for name in ["\u{3164}", "a\u{115f}b", "a\u{200d}b", "a\u{ad}b", "a\u{202e}b", "a\u{feff}b", "a\u{34f}b"] {
            assert!(Username::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn confusable_usernames_have_one_skeleton() {
        for (a, b) in
            [("paypal", "\u{440}\u{430}\u{443}\u{440}\u{430}l"), ("lily", "1ily"), ("bob", "b0b"), ("mary", "rnary")]
        {
            assert_eq!(skeleton(a), skeleton(b), "{a} {b}");
        }
        assert_ne!(skeleton("alice"), skeleton("alicia"));
    }

    #[test]
    fn malformed_usernames_are_rejected() {
        for name in [".", "..", "-rf", "--", "-", ".hidden", "_", "@", "+-_", "@@@"] {
            assert!(Username::parse(name).is_err(), "{name}");
        }
    }
}
