//! What a Secret teaches: the texts to hide.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value as Json;

/// The least length of a value, in bytes.
const SHORTEST: usize = 4;
/// The least length of a part of a value (a line, a text inside of JSON): parts are more often common words.
const SHORTEST_PART: usize = 8;
/// The least length of a value of digits alone: ports and counts are shorter.
const SHORTEST_NUMBER: usize = 6;

/// Values that are everywhere, and tell nothing.
const COMMON: &[&str] = &[
    "true",
    "false",
    "null",
    "none",
    "default",
    "admin",
    "root",
    "user",
    "username",
    "password",
    "test",
    "local",
    "localhost",
    "enabled",
    "disabled",
    "info",
    "debug",
    "http",
    "https",
    "postgres",
    "mysql",
    "redis",
    "mongo",
    "kube-system",
    "kubernetes",
    "Opaque",
    "Secret",
    "latest",
];

/// Keys of JSON credentials whose values are no secrets.
const PUBLIC_KEYS: &[&str] =
    &["username", "email", "type", "kind", "apiVersion", "server", "project_id", "client_email"];

/// The forms in which a value is likely to be printed; none if it is too short or too common to be hidden.
pub(super) fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    whole(value, &mut forms);
    forms
}

/// What an object teaches.
pub(super) fn of_object(object: &Json) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    object_into(object, object["kind"].as_str().unwrap_or_default(), &mut forms);
    forms
}

fn object_into(object: &Json, kind: &str, forms: &mut Vec<Vec<u8>>) {
    match kind {
        "Secret" => secret(object, forms),
        "TokenRequest" => {
            if let Some(token) = object["status"]["token"].as_str() {
                whole(token.as_bytes(), forms);
            }
        }
        _ => {
            // The items of a `SecretList` carry no kind of their own.
            let inherited = kind.strip_suffix("List").unwrap_or_default();
            for item in object["items"].as_array().into_iter().flatten() {
                object_into(item, item["kind"].as_str().unwrap_or(inherited), forms);
            }
        }
    }
}

fn secret(secret: &Json, forms: &mut Vec<Vec<u8>>) {
    // The other fields are the namespace's name and a certificate that everybody may see.
    let is_token = secret["type"] == "kubernetes.io/service-account-token";
    let entries = |field: &str| {
        let entries: Vec<_> = secret[field].as_object().into_iter().flatten().collect();
        entries.into_iter().filter(|(key, _)| !is_token || *key == "token").collect::<Vec<_>>()
    };
    for (_, value) in entries("data") {
        let Some(encoded) = value.as_str() else { continue };
        let compact: Vec<u8> = encoded.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        if let Ok(decoded) = STANDARD.decode(&compact) {
            let before = forms.len();
            data(&decoded, forms);
            if forms.len() == before {
                continue;
            }
        }
        if compact.len() >= SHORTEST {
            forms.push(compact);
        }
    }
    for (_, value) in entries("stringData") {
        if let Some(text) = value.as_str() {
            data(text.as_bytes(), forms);
        }
    }
}

/// A value of a Secret: itself, and what is in it if it is JSON.
fn data(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    whole(value, forms);
    if let Ok(inner @ (Json::Object(_) | Json::Array(_))) = serde_json::from_slice::<Json>(value) {
        leaves(&inner, forms);
    }
}

/// The texts inside of JSON, as in the credentials of registries: `{"auths": {"host": {"username", "password", "auth"}}}`, where
/// `auth` is `user:password` in base64.
fn leaves(value: &Json, forms: &mut Vec<Vec<u8>>) {
    match value {
        Json::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| !PUBLIC_KEYS.contains(&key.as_str())) {
                if let ("auth", Some(text)) = (key.as_str(), value.as_str())
                    && let Ok(pair) = STANDARD.decode(text)
                    && let Some(colon) = memchr::memchr(b':', &pair)
                {
                    whole(&pair[colon + 1..], forms);
                }
                match value.as_str() {
                    Some(text) if super::patterns::is_sensitive(key) || key == "auth" => whole(text.as_bytes(), forms),
                    _ => leaves(value, forms),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| leaves(item, forms)),
        Json::String(text) => part(text.as_bytes(), forms),
        _ => {}
    }
}

/// A whole value, in all its forms.
fn whole(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    let value = value.trim_ascii();
    if value.len() < SHORTEST || is_common(value) {
        return;
    }
    forms.push(value.to_owned());
    encoded(value, forms);
    if memchr::memchr(b'\n', value).is_some() {
        for line in value.split(|&byte| byte == b'\n') {
            part(line, forms);
            if let Some(right) = assigned(line) {
                part(right, forms);
            }
        }
    } else if let Some(right) = assigned(value) {
        part(right, forms);
    }
    if let Some(password) = url_password(value) {
        part(password, forms);
    }
}

/// The password in `scheme://user:password@host`.
fn url_password(value: &[u8]) -> Option<&[u8]> {
    let authority = &value[memchr::memmem::find(value, b"://")? + 3..];
    let user = &authority[..memchr::memrchr(b'@', authority)?];
    Some(&user[memchr::memchr(b':', user)? + 1..])
}

/// A part of a value: a line, a text inside of JSON.
fn part(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    let value = value.trim_ascii();
    let marker = value.starts_with(b"-----") && value.ends_with(b"-----");
    if value.len() >= SHORTEST_PART && !marker && !is_common(value) && value.iter().any(u8::is_ascii_alphanumeric) {
        forms.push(value.to_owned());
        encoded(value, forms);
    }
}

/// What stands right of `name=` or `name:`, without its quotes: the value in an environment file or in YAML.
fn assigned(line: &[u8]) -> Option<&[u8]> {
    let at = line.iter().position(|byte| matches!(byte, b'=' | b':'))?;
    let name = line[..at].trim_ascii();
    let is_name = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-\"' ".contains(byte));
    let right = line[at + 1..].trim_ascii();
    let bare = |quote: u8| right.strip_prefix(&[quote]).and_then(|inner| inner.strip_suffix(&[quote]));
    is_name.then(|| bare(b'"').or_else(|| bare(b'\'')).unwrap_or(right))
}

/// The other spellings of a value: base64 (with the padding, and the part of it that does not depend on what follows the
/// value), inside of a JSON string, percent-encoded.
fn encoded(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    forms.push(STANDARD.encode(value).into_bytes());
    let even = &value[..value.len() / 3 * 3];
    if even.len() >= 6 {
        forms.push(STANDARD_NO_PAD.encode(even).into_bytes());
        forms.push(URL_SAFE_NO_PAD.encode(value).into_bytes());
    }
    let Ok(text) = std::str::from_utf8(value) else { return };
    if text.bytes().any(|byte| matches!(byte, b'"' | b'\\') || byte < b' ') {
        let quoted = Json::from(text).to_string();
        forms.push(quoted.as_bytes()[1..quoted.len() - 1].to_owned());
    }
    if text.bytes().any(|byte| !is_unreserved(byte)) {
        let percent = text.bytes().flat_map(|byte| match byte {
            _ if is_unreserved(byte) => vec![byte],
            _ => format!("%{byte:02X}").into_bytes(),
        });
        forms.push(percent.collect());
    }
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_common(value: &[u8]) -> bool {
    COMMON.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(value))
        || value.iter().all(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii())
        || (value.len() < SHORTEST_NUMBER && value.iter().all(u8::is_ascii_digit))
}
