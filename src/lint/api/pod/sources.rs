//! Sources of volumes whose rules are mostly required fields, as a table: those of pods, and those of persistent volumes.

use super::super::forms::{self, Complaint, Form, form};
use super::super::read::{get, is_missing, text};
use super::super::report::{has_form, in_range, one_of_if_set, require_all, require_form, require_map};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

/// What one kind of source asks for.
pub(in super::super) struct SourceKind {
    /// The field that holds it.
    pub(in super::super) key: &'static str,
    /// Fields that must be there.
    required: &'static [&'static str],
    /// Forms of its strings.
    forms: &'static [(&'static str, Form)],
    /// Ranges of its numbers.
    ranges: &'static [(&'static str, i64)],
    /// Secrets that need a name, and whether they need a namespace too.
    secrets: &'static [(&'static str, bool)],
    /// What the columns cannot say.
    more: fn(&Node, &mut Findings<'_>),
}

/// A source that asks for nothing.
const PLAIN: SourceKind = SourceKind { key: "", required: &[], forms: &[], ranges: &[], secrets: &[], more: |_, _| {} };

/// The sources of a pod's volumes.
pub(in super::super) const POD: [SourceKind; 22] = [
    SourceKind {
        key: "hostPath",
        required: &["path"],
        forms: &[("path", forms::no_backsteps)],
        more: host_path,
        ..PLAIN
    },
    SourceKind { key: "gitRepo", required: &["repository"], forms: &[("directory", forms::descending_path)], ..PLAIN },
    SourceKind { key: "gcePersistentDisk", required: &["pdName"], ranges: &[("partition", 255)], ..PLAIN },
    SourceKind { key: "awsElasticBlockStore", required: &["volumeID"], ranges: &[("partition", 255)], ..PLAIN },
    SourceKind { key: "nfs", required: &["server", "path"], forms: &[("path", absolute_path)], ..PLAIN },
    SourceKind {
        key: "iscsi",
        required: &["targetPortal", "iqn"],
        forms: &ISCSI,
        ranges: &[("lun", 255)],
        more: iscsi,
        ..PLAIN
    },
    SourceKind { key: "glusterfs", required: &["endpoints", "path"], ..PLAIN },
    SourceKind { key: "flocker", more: flocker, ..PLAIN },
    SourceKind { key: "persistentVolumeClaim", required: &["claimName"], ..PLAIN },
    SourceKind { key: "rbd", required: &["monitors", "image"], ..PLAIN },
    SourceKind { key: "cinder", required: &["volumeID"], secrets: &[("secretRef", false)], ..PLAIN },
    SourceKind { key: "cephfs", required: &["monitors"], ..PLAIN },
    SourceKind { key: "quobyte", required: &["registry", "volume"], ..PLAIN },
    SourceKind { key: "fc", ranges: &[("lun", 255)], more: fibre_channel, ..PLAIN },
    SourceKind { key: "flexVolume", required: &["driver"], ..PLAIN },
    SourceKind { key: "azureFile", required: &["secretName", "shareName"], ..PLAIN },
    SourceKind { key: "vsphereVolume", required: &["volumePath"], ..PLAIN },
    SourceKind { key: "photonPersistentDisk", required: &["pdID"], ..PLAIN },
    SourceKind { key: "portworxVolume", required: &["volumeID"], ..PLAIN },
    SourceKind { key: "azureDisk", required: &["diskName", "diskURI"], more: azure_disk, ..PLAIN },
    SourceKind { key: "scaleIO", required: &["gateway", "system"], more: volume_name, ..PLAIN },
    SourceKind { key: "csi", forms: &[], secrets: &[("nodePublishSecretRef", false)], more: csi_driver, ..PLAIN },
];

/// The sources of a persistent volume.
pub(in super::super) const PERSISTENT: [SourceKind; 20] = [
    SourceKind {
        key: "hostPath",
        required: &["path"],
        forms: &[("path", forms::no_backsteps)],
        more: host_path,
        ..PLAIN
    },
    SourceKind { key: "local", required: &["path"], forms: &[("path", forms::no_backsteps)], ..PLAIN },
    SourceKind { key: "gcePersistentDisk", required: &["pdName"], ranges: &[("partition", 255)], ..PLAIN },
    SourceKind { key: "awsElasticBlockStore", required: &["volumeID"], ranges: &[("partition", 255)], ..PLAIN },
    SourceKind { key: "nfs", required: &["server", "path"], forms: &[("path", absolute_path)], ..PLAIN },
    SourceKind {
        key: "iscsi",
        required: &["targetPortal", "iqn"],
        forms: &ISCSI,
        ranges: &[("lun", 255)],
        secrets: &[("secretRef", false)],
        more: iscsi,
    },
    SourceKind {
        key: "glusterfs",
        required: &["endpoints", "path"],
        forms: &[("endpointsNamespace", forms::dns_label)],
        ..PLAIN
    },
    SourceKind { key: "flocker", more: flocker, ..PLAIN },
    SourceKind { key: "rbd", required: &["monitors", "image"], ..PLAIN },
    SourceKind { key: "cinder", required: &["volumeID"], secrets: &[("secretRef", true)], ..PLAIN },
    SourceKind { key: "cephfs", required: &["monitors"], ..PLAIN },
    SourceKind { key: "quobyte", required: &["registry", "volume"], ..PLAIN },
    SourceKind { key: "fc", ranges: &[("lun", 255)], more: fibre_channel, ..PLAIN },
    SourceKind { key: "flexVolume", required: &["driver"], ..PLAIN },
    SourceKind { key: "azureFile", required: &["secretName", "shareName"], ..PLAIN },
    SourceKind { key: "vsphereVolume", required: &["volumePath"], ..PLAIN },
    SourceKind { key: "portworxVolume", required: &["volumeID"], ..PLAIN },
    SourceKind { key: "azureDisk", required: &["diskName", "diskURI"], more: azure_disk, ..PLAIN },
    SourceKind { key: "scaleIO", required: &["gateway", "system"], more: volume_name, ..PLAIN },
    SourceKind { key: "csi", required: &["volumeHandle"], secrets: &CSI_SECRETS, more: csi_driver, ..PLAIN },
];

const ISCSI: [(&str, Form); 2] = [("iqn", iqn), ("initiatorName", iqn)];
const CSI_SECRETS: [(&str, bool); 4] = [
    ("controllerPublishSecretRef", true),
    ("controllerExpandSecretRef", true),
    ("nodePublishSecretRef", true),
    ("nodeExpandSecretRef", true),
];
const HOST_PATH_TYPES: [&str; 8] =
    ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"];

/// Checks each of the sources `kinds` that `node` has.
pub(in super::super) fn check(kinds: &[SourceKind], node: &Node, out: &mut Findings<'_>) {
    for kind in kinds {
        let Some(source) = get(node, kind.key) else { continue };
        require_all(out, source, kind.required);
        for (key, form) in kind.forms {
            has_form(out, source, key, *form);
        }
        for (key, most) in kind.ranges {
            in_range(out, source, key, (0, *most));
        }
        for (key, with_namespace) in kind.secrets {
            if let Some(secret) = get(source, key) {
                require_form(out, secret, "name", forms::dns_subdomain);
                if *with_namespace {
                    require_form(out, secret, "namespace", forms::dns_label);
                }
            }
        }
        (kind.more)(source, out);
    }
}

fn host_path(source: &Node, out: &mut Findings<'_>) {
    one_of_if_set(out, source, "type", &HOST_PATH_TYPES);
}

fn absolute_path(text: &str) -> Option<Complaint> {
    (!text.starts_with('/')).then_some(form("must be an absolute path"))
}

/// An iSCSI qualified name, EUI or NAA.
fn iqn(text: &str) -> Option<Complaint> {
    let hex = |prefix: &str, digits: usize| {
        text.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == digits && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    let qualified = text.strip_prefix("iqn.").is_some_and(|rest| {
        let date = rest.get(..8).unwrap_or_default().as_bytes();
        let shape = date.len() == 8 && date[4] == b'-' && date[7] == b'.';
        shape
            && rest.contains(':')
            && !rest.ends_with(':')
            && !rest.contains(|c: char| ",;*&$|".contains(c) || c.is_whitespace())
    });
    (!qualified && !hex("eui.", 16) && !hex("naa.", 32)).then_some(form("is not a valid iSCSI name"))
}

fn iscsi(source: &Node, out: &mut Findings<'_>) {
    let chap = ["chapAuthDiscovery", "chapAuthSession"].iter().any(|key| super::flag(source, key));
    if chap {
        require_map(out, source, "secretRef");
    }
}

fn flocker(source: &Node, out: &mut Findings<'_>) {
    let found = ["datasetName", "datasetUUID"].iter().filter(|key| !is_missing(source, key)).count();
    if found != 1 {
        out.error(code::REQUIRED, source, "exactly one of `datasetName` and `datasetUUID` is required");
    }
    has_form(out, source, "datasetName", forms::path_segment);
}

fn fibre_channel(source: &Node, out: &mut Findings<'_>) {
    let found = ["targetWWNs", "wwids"].iter().filter(|key| !is_missing(source, key)).count();
    if found != 1 {
        out.error(code::REQUIRED, source, "exactly one of `targetWWNs` and `wwids` is required");
    }
    if !is_missing(source, "targetWWNs") {
        require_all(out, source, &["lun"]);
    }
}

fn azure_disk(source: &Node, out: &mut Findings<'_>) {
    one_of_if_set(out, source, "cachingMode", &["None", "ReadOnly", "ReadWrite"]);
    one_of_if_set(out, source, "kind", &["Shared", "Dedicated", "Managed"]);
    let prefix = if text(source, "kind") == "Managed" { "/subscriptions/" } else { "https://" };
    if let Some(uri) = get(source, "diskURI")
        && uri.as_str().is_some_and(|uri| !uri.is_empty() && !uri.starts_with(prefix))
    {
        out.error(code::FORMAT, uri, format!("must start with `{prefix}` for this kind of disk"));
    }
}

fn volume_name(source: &Node, out: &mut Findings<'_>) {
    require_all(out, source, &["volumeName"]);
}

fn csi_driver(source: &Node, out: &mut Findings<'_>) {
    require_form(out, source, "driver", driver_name);
}

/// The name of a CSI driver: a DNS subdomain in any case, at most 63 characters.
pub(in super::super) fn driver_name(text: &str) -> Option<Complaint> {
    if text.len() > 63 {
        Some(form("is longer than 63 characters"))
    } else {
        forms::dns_subdomain(&text.to_lowercase())
    }
}
