//! The volumes of a pod.

use std::collections::HashSet;

use super::super::forms;
use super::super::read::{get, is_missing, list, quantity, structs, text};
use super::super::report::{
    duplicate, forbid, has_form, in_range, one_of, repeated, require, require_form, require_map, required,
};
use super::super::{claims, meta};
use super::{env, sources};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

/// Permissions of files.
const MODES: (i64, i64) = (0, 0o777);
/// The rules of one kind of source.
type Rule = fn(&Node, &mut Findings<'_>);
/// The sources whose rules are more than required fields; the others are in [`sources`].
const SOURCES: [(&str, Rule); 7] = [
    ("emptyDir", empty_dir),
    ("secret", secret),
    ("configMap", config_map),
    ("downwardAPI", downward_api),
    ("projected", projected),
    ("ephemeral", ephemeral),
    ("image", image),
];

/// Checks the volumes of a pod; returns by name those that mounts can use. Volumes that `claims` names are replaced by
/// claims.
pub(super) fn check<'n>(spec: &'n Node, claims: &[&str], out: &mut Findings<'_>) -> Vec<(&'n str, &'n Node)> {
    let mut names = HashSet::new();
    let mut usable = Vec::new();
    for volume in structs(spec, "volumes") {
        let name = text(volume, "name");
        if claims.contains(&name) {
            continue;
        }
        let before = out.diagnostics.len();
        require_form(out, volume, "name", forms::dns_label);
        if !name.is_empty() && !names.insert(name) {
            repeated(out, volume, "name", "name");
        }
        source(volume, out);
        // The server drops a volume that is wrong, and then misses it where it is mounted; here its mounts stay quiet.
        if !name.is_empty() || out.diagnostics.len() == before {
            usable.push((name, volume));
        }
    }
    usable
}

/// Where a volume's files come from: one source, or an empty directory when none is set.
fn source(volume: &Node, out: &mut Findings<'_>) {
    let all = SOURCES.iter().map(|(key, _)| *key).chain(sources::POD.iter().map(|source| source.key));
    let mut found = all.filter(|key| get(volume, key).is_some());
    let Some(first) = found.next() else { return };
    for other in found {
        forbid(out, volume, other, &format!("together with `{first}`: a volume has one source"));
    }
    let Some(node) = get(volume, first) else { return };
    match SOURCES.iter().find(|(key, _)| *key == first) {
        Some((_, rule)) => rule(node, out),
        None => sources::check(&sources::POD, volume, out),
    }
}

fn empty_dir(source: &Node, out: &mut Findings<'_>) {
    if let Some(limit) = get(source, "sizeLimit")
        && quantity(limit).is_some_and(crate::quantity::Quantity::is_negative)
    {
        out.error(code::QUANTITY, limit, "must not be negative");
    }
}

fn secret(source: &Node, out: &mut Findings<'_>) {
    require(out, source, "secretName");
    keyed_files(source, out);
}

fn config_map(source: &Node, out: &mut Findings<'_>) {
    require(out, source, "name");
    keyed_files(source, out);
}

fn keyed_files(source: &Node, out: &mut Findings<'_>) {
    in_range(out, source, "defaultMode", MODES);
    for item in structs(source, "items") {
        require(out, item, "key");
        require_form(out, item, "path", forms::volume_path);
        in_range(out, item, "mode", MODES);
    }
}

fn downward_api(source: &Node, out: &mut Findings<'_>) {
    in_range(out, source, "defaultMode", MODES);
    for file in structs(source, "items") {
        env::downward_file(file, out);
        in_range(out, file, "mode", MODES);
    }
}

fn ephemeral(source: &Node, out: &mut Findings<'_>) {
    let Some(template) = require_map(out, source, "volumeClaimTemplate") else { return };
    if let Some(metadata) = get(template, "metadata") {
        meta::template(Some(metadata), out);
        for entry in metadata.entries().filter(|entry| !entry.value.is_null()) {
            if !matches!(&*entry.key, "labels" | "annotations" | "creationTimestamp")
                && !is_missing(metadata, &entry.key)
            {
                out.error(code::FORBIDDEN, entry, "must not be set: only labels and annotations are used");
            }
        }
    }
    if let Some(spec) = require_map(out, template, "spec") {
        claims::check_spec(spec, out);
    }
}

fn image(source: &Node, out: &mut Findings<'_>) {
    require(out, source, "reference");
    one_of(out, source, "pullPolicy", &["Always", "IfNotPresent", "Never"]);
}

fn projected(source: &Node, out: &mut Findings<'_>) {
    const KINDS: [&str; 6] =
        ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"];
    in_range(out, source, "defaultMode", MODES);
    let mut paths = HashSet::new();
    for part in structs(source, "sources") {
        let mut found = KINDS.into_iter().filter(|key| get(part, key).is_some());
        let first = found.next();
        for other in found {
            forbid(out, part, other, &format!("together with `{}`", first.unwrap_or_default()));
        }
        let Some((kind, node)) = first.and_then(|kind| Some((kind, get(part, kind)?))) else { continue };
        match kind {
            "secret" | "configMap" => config_map(node, out),
            "downwardAPI" => downward_api(node, out),
            "serviceAccountToken" => {
                in_range(out, node, "expirationSeconds", (600, 1 << 32));
                require_form(out, node, "path", forms::volume_path);
            }
            "clusterTrustBundle" => trust_bundle(node, out),
            _ => {}
        }
        let own = get(node, "path").filter(|_| kind == "clusterTrustBundle");
        let items = list(node, "items").iter().filter_map(|item| get(item, "path"));
        for path in items.chain(own) {
            let found = path.as_str().unwrap_or_default();
            if !found.is_empty() && !paths.insert(found) {
                duplicate(out, path, "path", found);
            }
        }
    }
}

fn trust_bundle(bundle: &Node, out: &mut Findings<'_>) {
    match (get(bundle, "name"), get(bundle, "signerName")) {
        (Some(_), Some(_)) => forbid(out, bundle, "signerName", "together with `name`"),
        (None, None) => required(out, bundle, "name", " (or `signerName`)"),
        (Some(_), None) => {
            require(out, bundle, "name");
            forbid(out, bundle, "labelSelector", "together with `name`");
        }
        (None, Some(_)) => {
            require(out, bundle, "signerName");
            has_form(out, bundle, "signerName", forms::domain_prefixed_path);
            meta::selector(bundle, "labelSelector", out);
        }
    }
    require_form(out, bundle, "path", forms::volume_path);
}
