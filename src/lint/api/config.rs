//! ConfigMaps and Secrets.

use super::read::{entries, get, pairs, text};
use super::report::expect;
use super::{forms, meta};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::{Entry, Node};

/// Most bytes of the data of a ConfigMap or Secret.
const MAX_BYTES: usize = 1024 * 1024;
/// The types of Secrets that must hold something: their name, the keys of which one must be there, and whether all must.
const SECRET_TYPES: [(&str, &[&str], bool); 5] = [
    ("kubernetes.io/dockercfg", &[".dockercfg"], true),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"], true),
    ("kubernetes.io/basic-auth", &["username", "password"], false),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"], true),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"], true),
];
const SERVICE_ACCOUNT: &str = "kubernetes.io/service-account.name";

/// A ConfigMap.
pub(super) fn config_map(root: &Node, out: &mut Findings<'_>) {
    let mut size = 0;
    for (entry, value) in pairs(root, "data") {
        expect(out, entry, &entry.key, forms::config_key);
        size += value.len();
        if entries(root, "binaryData").any(|other| other.key == entry.key) {
            out.error(code::DUPLICATE, entry, "is also a key of `binaryData`");
        }
    }
    for (entry, value) in pairs(root, "binaryData") {
        expect(out, entry, &entry.key, forms::config_key);
        size += decoded(value).len();
    }
    limit(root, size, out);
}

/// A Secret, whose `stringData` is laid over its `data`.
pub(super) fn secret(root: &Node, out: &mut Findings<'_>) {
    let mut size = 0;
    for (key, is_plain) in [("data", false), ("stringData", true)] {
        for (entry, value) in pairs(root, key) {
            expect(out, entry, &entry.key, forms::config_key);
            let hidden = !is_plain && entries(root, "stringData").any(|other| other.key == entry.key);
            size += if is_plain { value.len() } else { decoded(value).len() * usize::from(!hidden) };
        }
    }
    limit(root, size, out);
    let kind = text(root, "type");
    if kind == "kubernetes.io/service-account-token" {
        let account = root.get("metadata").and_then(|metadata| meta::annotation(metadata, SERVICE_ACCOUNT));
        if account.and_then(Node::as_str).is_none_or(str::is_empty) {
            let anchor = root.get("metadata").unwrap_or(root);
            out.error(
                code::REQUIRED,
                anchor,
                format!("a Secret of this type needs the annotation `{SERVICE_ACCOUNT}`"),
            );
        }
    }
    let Some((_, keys, all)) = SECRET_TYPES.iter().find(|(name, _, _)| *name == kind) else { return };
    let missing: Vec<&str> = keys.iter().copied().filter(|key| value_of(root, key).is_none()).collect();
    if *all && !missing.is_empty() || missing.len() == keys.len() {
        let names = missing.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>();
        let names = names.join(if *all { " and " } else { " or " });
        let anchor = get(root, "data").or_else(|| get(root, "stringData")).unwrap_or(root);
        out.error(code::REQUIRED, anchor, format!("a Secret of the type `{kind}` needs the key {names}"));
    }
    match keys {
        [".dockercfg" | ".dockerconfigjson"] => docker_config(root, keys[0], out),
        ["ssh-privatekey"] => {
            if let Some((entry, _)) = value_of(root, keys[0]).filter(|(_, value)| value.is_empty()) {
                out.error(code::REQUIRED, entry, "must not be empty");
            }
        }
        _ => {}
    }
}

/// The credentials for registries must be a JSON object.
fn docker_config(root: &Node, key: &str, out: &mut Findings<'_>) {
    let Some((entry, value)) = value_of(root, key) else { return };
    let json: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_slice(&value);
    if json.is_err() {
        out.error(code::FORMAT, entry, "must hold a JSON object");
    }
}

/// The bytes under a key of a Secret.
fn value_of<'n>(root: &'n Node, key: &str) -> Option<(&'n Entry, Vec<u8>)> {
    let find = |bag: &str| pairs(root, bag).find(|(entry, _)| &*entry.key == key);
    let plain = find("stringData").map(|(entry, value)| (entry, value.as_bytes().to_vec()));
    plain.or_else(|| find("data").map(|(entry, value)| (entry, decoded(value))))
}

fn limit(root: &Node, size: usize, out: &mut Findings<'_>) {
    if size > MAX_BYTES {
        let message = format!("its data has {size} bytes, at most {MAX_BYTES} are allowed");
        out.error(code::RANGE, root, message);
    }
}

/// The bytes that base64 writes; what is not base64 is left out (the schema speaks about that).
fn decoded(text: &str) -> Vec<u8> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::with_capacity(text.len() / 4 * 3));
    for digit in text.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.extend(u8::try_from((bits >> count) & 0xff));
        }
    }
    bytes
}
