//! The forms of scalars: what `format` means, in a custom resource's schema, in a Go type, and in JSON Schema.
//!
//! Source: `apiextensions-apiserver/pkg/apiserver/validation/formats.go` (which formats count) and
//! `kube-openapi/pkg/validation/strfmt` (what each one takes).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

use super::go;
use super::shape::Types;
use crate::quantity::Quantity;

/// The form of a scalar beyond its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Format {
    /// Nothing beyond the type.
    #[default]
    None,
    /// A whole number of this range.
    Integer { bits: u8, signed: bool },
    /// A number that a 32-bit float can hold.
    Float32,
    /// A string of a named form.
    Text(TextFormat),
    /// A Go type's `IntOrString`: a string, or a whole number of 32 bits.
    IntOrString,
    /// A Go type's `Quantity`: a string or a number that is a quantity.
    Quantity,
    /// A Go type's `Time`.
    Time,
    /// A Go type's `[]byte`: base64.
    Bytes,
    /// Any JSON at all.
    Json,
}

impl Format {
    /// The format of this name for values of these types. Names that an API server does not know count as none.
    pub fn named(name: &str, types: Types) -> Self {
        if types.has(Types::INTEGER) && !types.has(Types::STRING) {
            return match name {
                "int32" => Self::Integer { bits: 32, signed: true },
                "int64" => Self::Integer { bits: 64, signed: true },
                "int8" => Self::Integer { bits: 8, signed: true },
                "int16" => Self::Integer { bits: 16, signed: true },
                "uint8" => Self::Integer { bits: 8, signed: false },
                "uint16" => Self::Integer { bits: 16, signed: false },
                "uint32" => Self::Integer { bits: 32, signed: false },
                "uint" | "uint64" => Self::Integer { bits: 64, signed: false },
                _ => Self::None,
            };
        }
        if types.has(Types::NUMBER) {
            return if name == "float" { Self::Float32 } else { Self::None };
        }
        if types.is_any() || types.has(Types::STRING) && !types.has(Types::INTEGER) {
            let plain = name.replace('-', "");
            let found = TEXT_FORMATS.iter().find(|(_, known, _)| *known == plain);
            return found.map_or(Self::None, |(format, ..)| Self::Text(*format));
        }
        Self::None
    }

    /// The range of a whole number of this format; that of 64 bits if the format sets none.
    pub fn integer_range(self) -> (i128, i128) {
        match self {
            Self::Integer { bits, signed: true } => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
            Self::Integer { bits, signed: false } => (0, (1 << bits) - 1),
            Self::IntOrString => (i128::from(i32::MIN), i128::from(i32::MAX)),
            _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
        }
    }

    /// What a value of this format has to be, as a message says it.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Integer { bits: 32, .. } | Self::IntOrString => "a 32-bit integer",
            Self::Integer { bits: 16, .. } => "a 16-bit integer",
            Self::Integer { bits: 8, .. } => "an 8-bit integer",
            Self::Text(format) => {
                TEXT_FORMATS.iter().find(|(known, ..)| *known == format).map_or("", |(_, _, words)| words)
            }
            Self::Quantity => "a quantity",
            Self::Time => "a date and time (RFC 3339)",
            Self::Bytes => "base64",
            Self::Float32 => "a 32-bit float",
            Self::None | Self::Integer { .. } | Self::Json => "a 64-bit integer",
        }
    }
}

/// The forms of strings that an API server checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TextFormat {
    ObjectId,
    Uri,
    Email,
    Hostname,
    Ipv4,
    Ipv6,
    Cidr,
    Mac,
    Uuid,
    Uuid3,
    Uuid4,
    Uuid5,
    Isbn,
    Isbn10,
    Isbn13,
    CreditCard,
    Ssn,
    HexColor,
    RgbColor,
    Byte,
    Password,
    Date,
    Duration,
    DateTime,
    ShortName,
    LongName,
}

/// Each form with its name (hyphens left out, as an API server compares them) and what it asks for.
const TEXT_FORMATS: [(TextFormat, &str, &str); 26] = [
    (TextFormat::ObjectId, "bsonobjectid", "24 hexadecimal digits"),
    (TextFormat::Uri, "uri", "a URI"),
    (TextFormat::Email, "email", "an email address"),
    (TextFormat::Hostname, "hostname", "a host name"),
    (TextFormat::Ipv4, "ipv4", "an IPv4 address"),
    (TextFormat::Ipv6, "ipv6", "an IPv6 address"),
    (TextFormat::Cidr, "cidr", "a network such as 10.0.0.0/8"),
    (TextFormat::Mac, "mac", "a MAC address"),
    (TextFormat::Uuid, "uuid", "a UUID"),
    (TextFormat::Uuid3, "uuid3", "a UUID of version 3"),
    (TextFormat::Uuid4, "uuid4", "a UUID of version 4"),
    (TextFormat::Uuid5, "uuid5", "a UUID of version 5"),
    (TextFormat::Isbn, "isbn", "an ISBN"),
    (TextFormat::Isbn10, "isbn10", "an ISBN of 10 digits"),
    (TextFormat::Isbn13, "isbn13", "an ISBN of 13 digits"),
    (TextFormat::CreditCard, "creditcard", "a credit card number"),
    (TextFormat::Ssn, "ssn", "a social security number"),
    (TextFormat::HexColor, "hexcolor", "a colour such as #00ff00"),
    (TextFormat::RgbColor, "rgbcolor", "a colour such as rgb(0,255,0)"),
    (TextFormat::Byte, "byte", "base64"),
    (TextFormat::Password, "password", "a password"),
    (TextFormat::Date, "date", "a date such as 2026-01-31"),
    (TextFormat::Duration, "duration", "a duration such as 1h30m"),
    (TextFormat::DateTime, "datetime", "a date and time such as 2026-01-31T12:00:00Z"),
    (TextFormat::ShortName, "k8sshortname", "a name of at most 63 lower-case letters, digits and hyphens"),
    (TextFormat::LongName, "k8slongname", "names of lower-case letters, digits and hyphens, joined by dots"),
];

impl TextFormat {
    /// Whether `text` has this form.
    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::Password => true,
            Self::Date => go::is_date(text),
            Self::DateTime => is_date_time(text),
            Self::Duration => is_duration(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.contains(':') && text.parse::<Ipv6Addr>().is_ok(),
            Self::Cidr => is_cidr(text),
            Self::Hostname => {
                text.len() <= 255 && text.split('.').all(|label| label.len() <= 63) && HOSTNAME.is_match(text)
            }
            Self::Email => is_email(text),
            Self::Uri => is_request_uri(text),
            Self::Isbn => is_isbn10(text) || is_isbn13(text),
            Self::Isbn10 => is_isbn10(text),
            Self::Isbn13 => is_isbn13(text),
            Self::CreditCard => is_credit_card(text),
            Self::ShortName => text.len() <= 63 && SHORT_NAME.is_match(text),
            Self::LongName => text.len() <= 253 && text.split('.').all(|part| SHORT_NAME.is_match(part)),
            Self::ObjectId => OBJECT_ID.is_match(text),
            Self::Mac => MAC.is_match(text),
            Self::Uuid => UUID.is_match(text),
            Self::Uuid3 => UUID3.is_match(text),
            Self::Uuid4 => UUID4.is_match(text),
            Self::Uuid5 => UUID5.is_match(text),
            Self::Ssn => SSN.is_match(text),
            Self::HexColor => HEX_COLOR.is_match(text),
            Self::RgbColor => RGB_COLOR.is_match(text),
            Self::Byte => BASE64.is_match(text),
        }
    }
}

/// Regular expressions that are compiled when they are first needed.
macro_rules! patterns {
    ($($name:ident = $pattern:literal;)+) => {
        $(
            static $name: LazyLock<Regex> =
                LazyLock::new(|| Regex::new($pattern).expect("the pattern is a literal that compiles"));
        )+

        #[cfg(test)]
        const PATTERNS: &[&LazyLock<Regex>] = &[$(&$name),+];
    };
}

patterns! {
    OBJECT_ID = "^[0-9a-fA-F]{24}$";
    MAC = r"^(?i)(?:[0-9a-f]{2}([:-]))(?:[0-9a-f]{2}[:-]){4,18}[0-9a-f]{2}$|^(?i)(?:[0-9a-f]{4}\.){2,9}[0-9a-f]{4}$";
    UUID = "^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    UUID3 = "^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    UUID4 = "^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$";
    UUID5 = "^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$";
    SSN = "^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$";
    HEX_COLOR = "^#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$";
    RGB_COLOR = r"^rgb\(\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)$";
    BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$";
    HOSTNAME = r"^(?:[a-zA-Z0-9\p{S}\p{L}](?:-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?|(?:[a-zA-Z0-9\p{S}\p{L}](?:[a-zA-Z0-9\-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?\.)+[a-zA-Z0-9\p{S}\p{L}](?:-?[a-zA-Z0-9\p{S}\p{L}]){1,62})$";
    SHORT_NAME = "^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$";
    TIME_OF_DAY = "^([0-9]{2}):([0-9]{2}):([0-9]{2})(?:.[0-9]+)?(?:z|[+-][0-9]{2}:[0-9]{2})$";
    LOOSE_DURATION = r"[0-9]+\s*([A-Za-zµ]+)";
    CREDIT_CARD = r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11})$";
}

fn is_date_time(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some((date, time)) = lower.split_once('t') else { return false };
    let time = time.split('t').next().unwrap_or_default();
    go::is_date(date)
        && TIME_OF_DAY.captures(time).is_some_and(|parts| &parts[1] <= "23" && &parts[2] <= "59" && &parts[3] <= "59")
}

/// Go's duration, or what Scala takes: a number and a unit by name, anywhere in the text.
fn is_duration(text: &str) -> bool {
    const EXACT: [&str; 8] = ["ns", "us", "µs", "ms", "s", "m", "h", "d"];
    const STARTS: [&str; 8] = ["nano", "micro", "milli", "second", "minute", "hour", "day", "week"];
    go::is_duration(text)
        || LOOSE_DURATION.captures_iter(text).any(|found| {
            let unit = found[1].to_lowercase();
            unit == "w" || EXACT.contains(&unit.as_str()) || STARTS.iter().any(|start| unit.starts_with(start))
        })
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.len() <= 3
        && bits.bytes().all(|byte| byte.is_ascii_digit())
        && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

/// An address as mail headers write it, `a@b.c` or `Name <a@b.c>`.
fn is_email(text: &str) -> bool {
    let address = match text.rfind('<') {
        Some(open) => text[open + 1..].strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && !part.contains("..")
            && part.chars().all(|character| {
                character.is_ascii_alphanumeric() || !character.is_ascii() || ".!#$%&'*+-/=?^_`{|}~".contains(character)
            })
    };
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    (quoted || plain(local)) && (plain(domain) || domain.starts_with('[') && domain.ends_with(']'))
}

/// What Go's `url.ParseRequestURI` takes: an absolute URI or an absolute path.
fn is_request_uri(text: &str) -> bool {
    if text.is_empty() || text.chars().any(char::is_control) || has_bad_escape(text) {
        return false;
    }
    if text.starts_with('/') || text == "*" {
        return true;
    }
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let starts_well = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    let known = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let host = rest.strip_prefix("//").map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    starts_well && known && host.is_none_or(|host| !host.contains([' ', '<', '>', '"', '^', '\\']))
}

/// Whether a `%` is not followed by two hexadecimal digits.
fn has_bad_escape(text: &str) -> bool {
    text.split('%').skip(1).any(|after| after.len() < 2 || !after.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit))
}

fn isbn_digits(text: &str) -> Vec<u32> {
    let mut digits = Vec::new();
    for character in text.chars().filter(|character| !matches!(character, ' ' | '-')) {
        match (character.to_digit(10), character) {
            (Some(digit), _) => digits.push(digit),
            (None, 'X') if digits.len() == 9 => digits.push(10),
            _ => return Vec::new(),
        }
    }
    digits
}

fn is_isbn10(text: &str) -> bool {
    let digits = isbn_digits(text);
    digits.len() == 10 && (1..).zip(&digits).map(|(weight, digit)| weight * digit).sum::<u32>() % 11 == 0
}

fn is_isbn13(text: &str) -> bool {
    let digits = isbn_digits(text);
    let weighted = [1, 3].iter().cycle().zip(&digits).map(|(weight, digit)| weight * digit);
    digits.len() == 13 && !digits.contains(&10) && weighted.sum::<u32>() % 10 == 0
}

/// A number of a card company that passes Luhn's check.
fn is_credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') * if place % 2 == 1 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    CREDIT_CARD.is_match(&digits) && sum.is_multiple_of(10)
}

/// Whether a Go type's `Quantity` takes this text: blanks around it are left out.
pub(super) fn is_quantity(text: &str) -> bool {
    Quantity::parse(text.trim()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_pattern_compiles() {
        for pattern in PATTERNS {
            assert!(!pattern.as_str().is_empty());
        }
    }

    #[test]
    fn each_format_takes_its_own_and_refuses_others() {
        for (name, good, bad) in [
            ("bson-object-id", "507f1f77bcf86cd799439011", "507f"),
            ("uri", "https://example.com/a?b=c", "example.com/a"),
            ("email", "a.b@example.com", "a.b"),
            ("hostname", "a-b.example.com", "a_b"),
            ("ipv4", "10.0.0.1", "10.0.0.256"),
            ("ipv6", "fe80::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "00:1a:2b:3c:4d:5e", "00:1a:2b"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
            ("uuid4", "123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
            ("isbn", "978-0321751041", "978-0321751042"),
            ("isbn10", "0321751043", "0321751044"),
            ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
            ("ssn", "123-45-6789", "123-45"),
            ("hexcolor", "#00ff00", "#00ff0"),
            ("rgbcolor", "rgb(0,255,0)", "rgb(0,256,0)"),
            ("byte", "aGk=", "aGk"),
            ("date", "2026-01-31", "2026-02-31"),
            ("duration", "1h30m", "soon"),
            ("date-time", "2026-01-31T12:00:00Z", "2026-01-31 12:00:00"),
            ("k8s-short-name", "a-b", "a.b"),
            ("k8s-long-name", "a-b.c", "a..b"),
        ] {
            let Format::Text(format) = Format::named(name, Types::STRING) else { panic!("{name} is not known") };
            assert!(format.accepts(good), "{name} should take {good}");
            assert!(!format.accepts(bad), "{name} should refuse {bad}");
        }
    }

    #[test]
    fn durations_may_be_written_in_words() {
        for text in ["22 ns", "3 days", "1 Week", "-5m", "1.5h", "0"] {
            assert!(is_duration(text), "{text}");
        }
    }

    #[test]
    fn a_format_that_nobody_knows_is_none() {
        assert_eq!(Format::named("fancy", Types::STRING), Format::None);
        assert_eq!(Format::named("date-time", Types::OBJECT), Format::None);
        assert_eq!(Format::named("int32", Types::STRING), Format::None);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_format_panic(text in r"[-a-zA-Z0-9@%:/.<>{}\[\]()#µ ]{0,24}") {
            for (format, ..) in TEXT_FORMATS {
                let _ = format.accepts(&text);
            }
        }
    }
}
