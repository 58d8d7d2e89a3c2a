//! Matches the rules of an API (docs/gate.md): the first rule that matches method and path decides. Patterns match
//! whole segments: `*` matches one and `**` any number. Matching is case-sensitive. `GET` covers `HEAD` (RFC 9110
//! §9.3.2).
//!
//! See also [`super::path`], which decodes the paths; `domain::gate` and `domain::gate_path`, the document format of
//! the rules.

use crate::domain::gate::Rule;

/// Returns the first rule that matches.
#[must_use]
pub fn first<'a>(rules: &'a [Rule], method: &str, path: &str) -> Option<&'a Rule> {
    matching_rule_with_number(rules, method, path).map(|(_, rule)| rule)
}

/// Returns the first rule that matches, with its number, counted from 1.
#[must_use]
pub fn matching_rule_with_number<'a>(rules: &'a [Rule], method: &str, path: &str) -> Option<(usize, &'a Rule)> {
    (1..).zip(rules).find(|(_, rule)| has_method(&rule.methods, method) && fits(rule.path.as_str(), path))
}

fn has_method(methods: &[String], method: &str) -> bool {
    let asked = if method == "HEAD" { "GET" } else { method };
    methods.iter().any(|known| known == method || known == asked)
}

/// Returns whether the path matches; both begin with a slash. After a `**`, each mismatch makes it take one segment
/// more. The number of steps is at most the product of both lengths.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (Segments::of(pattern), Segments::of(path));
    let mut again: Option<(Segments<'_>, Segments<'_>)> = None;
    loop {
        match (pattern.next(), path) {
            (Some("**"), _) => {
                again = Some((pattern, path));
                continue;
            }
            (Some(wanted), mut rest) => {
                if let Some(segment) = rest.next()
                    && (wanted == segment || (wanted == "*" && !segment.is_empty()))
                {
                    path = rest;
                    continue;
                }
            }
            (None, rest) if rest.is_done() => return true,
            (None, _) => {}
        }
        let Some((after, mut taken)) = again else { return false };
        if taken.next().is_none() {
            return false;
        }
        again = Some((after, taken));
        (pattern, path) = (after, taken);
    }
}

/// The segments between slashes, without the leading slash.
#[derive(Clone, Copy)]
struct Segments<'a>(Option<&'a str>);

impl<'a> Segments<'a> {
    fn of(path: &'a str) -> Self {
        Self(path.strip_prefix('/'))
    }

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        let (segment, rest) = rest.split_once('/').map_or((rest, None), |(segment, rest)| (segment, Some(rest)));
        self.0 = rest;
        Some(segment)
    }

    const fn is_done(self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{first, fits};
    use crate::domain::gate::Rule;

    #[test]
    fn patterns_match_whole_segments() {
        for (pattern, yes, no) in [
            ("/", &["/"][..], &["/a", "/a/"][..]),
            ("/**", &["/", "/a", "/a/", "/a/b/c"], &[]),
            ("/orders", &["/orders"], &["/orders/", "/Orders", "/orders/1", "/order", "/"]),
            ("/orders/", &["/orders/"], &["/orders", "/orders/1"]),
            ("/orders/*", &["/orders/1"], &["/orders", "/orders/", "/orders/1/", "/orders/1/2"]),
            (
                "/orders/**",
                &["/orders", "/orders/", "/orders/1", "/orders/1/2/"],
                &["/ordersx", "/order", "/", "/a/orders"],
            ),
            ("/orders/*/lines", &["/orders/1/lines"], &["/orders/lines", "/orders/1/2/lines", "/orders/1/lines/"]),
            ("/**/lines", &["/lines", "/a/lines", "/a/b/lines", "/lines/lines"], &["/lines/", "/a/lines/b"]),
            ("/a/**/b/**/c", &["/a/b/c", "/a/x/b/y/c", "/a/b/b/c/c"], &["/a/c", "/a/b/", "/b/c"]),
            ("/**/*", &["/a", "/a/b"], &["/", "/a/"]),
            ("/my files/**", &["/my files", "/my files/a b"], &["/my%20files", "/my+files", "/my", "/my  files"]),
            ("/straße/*", &["/straße/é"], &["/strasse/é", "/STRASSE/a", "/straße", "/stra%C3%9Fe/a"]),
            ("/100%/*", &["/100%/a"], &["/100%25/a", "/100/a"]),
        ] {
            for path in yes {
                assert!(fits(pattern, path), "{pattern} {path}");
            }
            for path in no {
                assert!(!fits(pattern, path), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn first_matching_rule_decides() {
        let rules: Vec<Rule> = serde_json::from_value(json!([
            { "methods": ["GET"], "path": "/public/**", "allow": "anonymous" },
            { "methods": ["GET", "POST"], "path": "/public/drafts", "scopes": ["write"] },
            { "methods": ["HEAD"], "path": "/probe" },
        ]))
        .unwrap();
        let at = |method, path| first(&rules, method, path).map(|rule| rules.iter().position(|it| it == rule).unwrap());
        assert_eq!(at("GET", "/public/drafts"), Some(0));
        assert_eq!(at("HEAD", "/public/drafts"), Some(0));
        assert_eq!(at("POST", "/public/drafts"), Some(1));
        assert_eq!(at("HEAD", "/probe"), Some(2));
        for (method, path) in [("GET", "/probe"), ("get", "/public/a"), ("OPTIONS", "/public/a"), ("GET", "/Public/a")]
        {
            assert_eq!(at(method, path), None, "{method} {path}");
        }
    }

    /// A reference implementation that tries every possibility.
    fn by_the_book(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            (["**", rest @ ..], path) => (0..=path.len()).any(|taken| by_the_book(rest, &path[taken..])),
            ([wanted, rest @ ..], [segment, after @ ..]) => {
                (wanted == segment || (*wanted == "*" && !segment.is_empty())) && by_the_book(rest, after)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_backtracking(
            pattern in prop::collection::vec(prop::sample::select(vec!["*", "**", "a", "b"]), 1..6),
            path in prop::collection::vec(prop::sample::select(vec!["a", "b"]), 1..8),
            slash in any::<bool>(),
        ) {
            let mut path = path;
            if slash { path.push(""); }
            let (shown, asked) = (format!("/{}", pattern.join("/")), format!("/{}", path.join("/")));
            prop_assert_eq!(fits(&shown, &asked), by_the_book(&pattern, &path), "{} {}", shown, asked);
        }
    }
}
