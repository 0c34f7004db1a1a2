//! The forms that strings must have.
//!
//! Source: `apimachinery/pkg/util/validation/validation.go` and `pkg/api/validation` of Kubernetes.

use std::fmt;
use std::net::IpAddr;

use crate::lint::code;

/// What is wrong with a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The code that it is reported under.
    pub(super) code: &'static str,
    /// To be read after the quoted string.
    text: &'static str,
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text)
    }
}

/// A rule for a string: nothing if it holds.
pub(super) type Form = fn(&str) -> Option<Complaint>;

/// A complaint about a name: of an object, a label and the like.
const fn name(text: &'static str) -> Complaint {
    Complaint { code: code::NAME, text }
}

/// A complaint about any other string.
pub(super) const fn form(text: &'static str) -> Complaint {
    Complaint { code: code::FORMAT, text }
}

const LABEL: &str =
    "is not a valid name: expected lower-case letters, digits and `-`, with a letter or digit at both ends";

/// A DNS-1123 label: at most 63 lower-case letters, digits and `-`, alphanumeric at both ends.
pub(super) fn dns_label(text: &str) -> Option<Complaint> {
    if text.len() > 63 {
        return Some(name("is too long: at most 63 characters are allowed"));
    }
    if text.contains('.') {
        return Some(name("must not contain dots"));
    }
    (!is_dns_label(text)).then_some(name(LABEL))
}

/// A DNS-1035 label: a DNS-1123 label that starts with a letter.
pub(super) fn dns_1035_label(text: &str) -> Option<Complaint> {
    dns_label(text)
        .or_else(|| (!text.starts_with(|c: char| c.is_ascii_lowercase())).then_some(name("must start with a letter")))
}

/// A DNS-1123 subdomain: labels joined with dots, at most 253 characters.
pub(super) fn dns_subdomain(text: &str) -> Option<Complaint> {
    if text.len() > 253 {
        return Some(name("is too long: at most 253 characters are allowed"));
    }
    (!text.split('.').all(is_dns_label)).then_some(name("is not a valid name: expected lower-case letters, digits, `-` and `.`, with a letter or digit at both ends of each part"))
}

/// A DNS subdomain whose parts may also hold `_`: a search domain.
pub(super) fn search_domain(text: &str) -> Option<Complaint> {
    let text = if text == "." { return None } else { text.strip_suffix('.').unwrap_or(text) };
    let part = |part: &str| {
        bounded(part, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_', |byte| byte == b'-')
    };
    (text.len() > 253 || !text.split('.').all(part)).then_some(form("is not a valid search domain"))
}

/// A DNS subdomain whose first label is `*`.
pub(super) fn wildcard_subdomain(text: &str) -> Option<Complaint> {
    let rest = text.strip_prefix("*.").filter(|rest| dns_subdomain(rest).is_none());
    (rest.is_none() || text.len() > 253)
        .then_some(form("is not a valid host: `*` may only stand for its whole first part, as in `*.example.com`"))
}

/// The key of a label: a name of at most 63 characters, with an optional DNS subdomain and `/` before it.
pub(super) fn qualified_name(text: &str) -> Option<Complaint> {
    let (prefix, last) = match text.split_once('/') {
        Some((prefix, last)) => (Some(prefix), last),
        None => (None, text),
    };
    if last.contains('/') {
        return Some(name("is not a valid key: at most one `/` is allowed, after a domain, as in `example.com/name`"));
    }
    if prefix == Some("") {
        return Some(name("is not a valid key: the domain before the `/` is empty"));
    }
    if prefix.is_some_and(|prefix| dns_subdomain(prefix).is_some()) {
        return Some(name(
            "is not a valid key: what stands before the `/` must be a domain in lower case, as in `example.com/name`",
        ));
    }
    if last.is_empty() {
        return Some(name("is not a valid key: the name is empty"));
    }
    if last.len() > 63 {
        return Some(name("is not a valid key: its name is longer than 63 characters"));
    }
    (!is_qualified_part(last)).then_some(name(
        "is not a valid key: expected letters, digits, `-`, `_` and `.`, with a letter or digit at both ends",
    ))
}

/// The key of an annotation: a qualified name in any case.
pub(super) fn annotation_key(text: &str) -> Option<Complaint> {
    qualified_name(&text.to_lowercase())
}

/// The value of a label: empty, or at most 63 letters, digits, `-`, `_` and `.`.
pub(super) fn label_value(text: &str) -> Option<Complaint> {
    if text.len() > 63 {
        return Some(name("is not a valid label value: it is longer than 63 characters"));
    }
    (!text.is_empty() && !is_qualified_part(text)).then_some(name(
        "is not a valid label value: expected letters, digits, `-`, `_` and `.`, with a letter or digit at both ends",
    ))
}

/// A name that is only ever a segment of a URL's path, as of RBAC objects.
pub(super) fn path_segment(text: &str) -> Option<Complaint> {
    match text {
        "." | ".." => Some(name("is not a valid name")),
        _ if text.contains('/') => Some(name("is not a valid name: it must not contain `/`")),
        _ if text.contains('%') => Some(name("is not a valid name: it must not contain `%`")),
        _ => None,
    }
}

/// A finalizer of a built-in kind: with a domain, or one of Kubernetes' own three.
pub(super) fn kube_finalizer(text: &str) -> Option<Complaint> {
    qualified_name(text).or_else(|| {
        (!text.contains('/') && !["kubernetes", "orphan", "foregroundDeletion"].contains(&text))
            .then_some(name("is not a valid finalizer: expected a name with a domain, as in `example.com/name`"))
    })
}

/// A key of a ConfigMap or Secret.
pub(super) fn config_key(text: &str) -> Option<Complaint> {
    if text.len() > 253 {
        return Some(form("is not a valid key: it is longer than 253 characters"));
    }
    if text == "." || text.starts_with("..") {
        return Some(form("is not a valid key: it must not be `.` or start with `..`"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (text.is_empty() || !text.bytes().all(allowed))
        .then_some(form("is not a valid key: expected letters, digits, `-`, `_` and `.`"))
}

/// The name of an environment variable: printable ASCII without `=`.
pub(super) fn env_name(text: &str) -> Option<Complaint> {
    (text.is_empty() || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')).then_some(form(
        "is not a valid name of an environment variable: expected printable ASCII characters other than `=`",
    ))
}

/// The name of a port: at most 15 lower-case letters, digits and single `-`, with at least one letter.
pub(super) fn port_name(text: &str) -> Option<Complaint> {
    if text.len() > 15 {
        return Some(form("is not a valid name of a port: it is longer than 15 characters"));
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !bounded(text, allowed, |byte| byte == b'-') || text.contains("--") {
        return Some(form(
            "is not a valid name of a port: expected lower-case letters, digits and single `-` between them",
        ));
    }
    (!text.bytes().any(|byte| byte.is_ascii_lowercase())).then_some(form(
        "is not a valid name of a port: it needs at least one letter (a number is written without quotes)",
    ))
}

/// The name of an HTTP header.
pub(super) fn header_name(text: &str) -> Option<Complaint> {
    (text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        .then_some(form("is not a valid HTTP header name: expected letters, digits and `-`"))
}

/// `example.com/path`.
pub(super) fn domain_prefixed_path(text: &str) -> Option<Complaint> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
    let good = text
        .split_once('/')
        .is_some_and(|(domain, path)| dns_subdomain(domain).is_none() && !path.is_empty() && path.bytes().all(allowed));
    (!good).then_some(form("is not a domain with a path, as in `example.com/name`"))
}

/// An IP address.
pub(super) fn ip(text: &str) -> Option<Complaint> {
    text.parse::<IpAddr>().is_err().then_some(form("is not a valid IP address"))
}

/// A range of IP addresses: `10.0.0.0/8`.
pub(super) fn cidr(text: &str) -> Option<Complaint> {
    parse_cidr(text).is_none().then_some(form("is not a valid range of addresses, as in `10.0.0.0/8`"))
}

/// The address and the length of the prefix of a range of IP addresses.
pub(super) fn parse_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let digits = length.bytes().all(|byte| byte.is_ascii_digit());
    length.parse().ok().filter(|length| digits && *length <= most).map(|length| (address, length))
}

/// `25%`.
pub(super) fn percent(text: &str) -> Option<Complaint> {
    let digits = text.strip_suffix('%').unwrap_or_default();
    (digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some(form("is neither a number nor a percentage, as in `25%`"))
}

/// The name of a kernel parameter, with `.` or `/` between its parts.
pub(super) fn sysctl(text: &str) -> Option<Complaint> {
    let part = |part: &str| {
        bounded(part, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(), |byte| b"-_".contains(&byte))
    };
    (text.len() > 253 || !text.split(['.', '/']).all(part)).then_some(form("is not a valid name of a sysctl"))
}

/// A path without `..` in it.
pub(super) fn no_backsteps(text: &str) -> Option<Complaint> {
    text.split('/').any(|part| part == "..").then_some(form("must not contain `..`"))
}

/// A path that stays below the folder that it starts from.
pub(super) fn descending_path(text: &str) -> Option<Complaint> {
    if text.starts_with('/') { Some(form("must be a relative path")) } else { no_backsteps(text) }
}

/// A path below a volume, whose names that start with `..` Kubernetes keeps for itself.
pub(super) fn volume_path(text: &str) -> Option<Complaint> {
    descending_path(text).or_else(|| text.starts_with("..").then_some(form("must not start with `..`")))
}

fn is_dns_label(text: &str) -> bool {
    bounded(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(), |byte| byte == b'-')
}

fn is_qualified_part(text: &str) -> bool {
    bounded(text, |byte| byte.is_ascii_alphanumeric(), |byte| b"-_.".contains(&byte))
}

/// Whether `text` is not empty, holds `ends` at both ends, and `ends` or `inner` between them.
fn bounded(text: &str, ends: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if ends(*first) && ends(*last))
        && bytes.iter().all(|byte| ends(*byte) || inner(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_takes_the_good_and_refuses_the_bad() {
        let cases: [(Form, &[&str], &[&str]); 16] = [
            (dns_label, &["a", "0-a", "my-name"], &["", "-a", "a-", "A", "a.b", "a_b"]),
            (dns_1035_label, &["a", "a-0"], &["0a", "", "a."]),
            (dns_subdomain, &["a", "a.b-c", "1.2"], &["", "a..b", ".a", "UPPER", "a/b"]),
            (qualified_name, &["app", "example.com/App_1"], &["", "a b", "pre/fix/x", "/x", "x/", "UP.com/x"]),
            (annotation_key, &["Example.COM/x"], &["a b"]),
            (label_value, &["", "a", "1.2_3"], &["-a", "b@d", "a b"]),
            (path_segment, &["system:node", "A"], &[".", "..", "a/b", "a%b"]),
            (kube_finalizer, &["kubernetes", "example.com/x"], &["mine", ""]),
            (config_key, &["a.b-c_D"], &["", "..", "..a", ".", "a/b"]),
            (env_name, &["A", "a.b-c", "1 2"], &["", "a=b", "é"]),
            (port_name, &["http", "p-1"], &["", "80", "a--b", "HTTP", "-a", "longer-than-fifteen"]),
            (domain_prefixed_path, &["example.com/a/b"], &["example.com", "/a", "example.com/"]),
            (cidr, &["10.0.0.0/8", "::/0"], &["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/+8"]),
            (percent, &["0%", "250%"], &["%", "x%", "-1%", "5"]),
            (volume_path, &["a/b", "a..b"], &["/a", "a/../b", "..a"]),
            (search_domain, &[".", "a_b.c.", "_x.y"], &["", "-a", "a b"]),
        ];
        for (form, good, bad) in cases {
            for text in good {
                assert_eq!(form(text), None, "{text}");
            }
            for text in bad {
                assert!(form(text).is_some(), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_a_label_is_a_subdomain_a_label_value_and_a_key(text in "[a-z0-9.-]{0,70}") {
            if dns_label(&text).is_none() {
                prop_assert_eq!(dns_subdomain(&text), None);
                prop_assert_eq!(label_value(&text), None);
                prop_assert_eq!(qualified_name(&text), None);
            }
        }

        #[test]
        fn no_text_makes_a_form_panic(text in "\\PC{0,80}") {
            for form in [cidr as Form, port_name, sysctl, wildcard_subdomain, percent, qualified_name, kube_finalizer] {
                let _ = form(&text);
            }
        }
    }
}
