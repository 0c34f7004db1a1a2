//! Where a container sees its volumes.

use std::collections::HashSet;

use super::super::forms;
use super::super::read::{flag, get, is_missing, structs, text};
use super::super::report::{forbid, has_form, one_of_if_set, repeated, require, required};
use super::Pod;
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

/// `volumeMounts` and `volumeDevices` of a container.
pub(super) fn check<'n>(pod: &Pod<'n>, container: &'n Node, out: &mut Findings<'_>) {
    let mut paths = HashSet::new();
    for mount in structs(container, "volumeMounts") {
        if require(out, mount, "name") {
            known_volume(pod, mount, out);
        }
        require(out, mount, "mountPath");
        let path = text(mount, "mountPath");
        if !path.is_empty() && !paths.insert(path) {
            repeated(out, mount, "mountPath", "path");
        }
        sub_paths(mount, out);
        propagation(container, mount, out);
    }
    let mut names = HashSet::new();
    let mut devices = HashSet::new();
    for device in structs(container, "volumeDevices") {
        if require(out, device, "name") {
            known_volume(pod, device, out);
            block_volume(pod, device, out);
        }
        require(out, device, "devicePath");
        let (name, path) = (text(device, "name"), text(device, "devicePath"));
        if !name.is_empty() && !names.insert(name) {
            repeated(out, device, "name", "name");
        }
        if !path.is_empty() && !devices.insert(path) {
            repeated(out, device, "devicePath", "path");
        }
        has_form(out, device, "devicePath", forms::no_backsteps);
        for mount in structs(container, "volumeMounts") {
            if !name.is_empty() && text(mount, "name") == name || !path.is_empty() && text(mount, "mountPath") == path {
                out.error(code::DUPLICATE, device, "has a name or path that `volumeMounts` uses too");
            }
        }
    }
}

fn known_volume(pod: &Pod<'_>, mount: &Node, out: &mut Findings<'_>) {
    let name = text(mount, "name");
    let Some(value) = mount.get("name").filter(|_| !name.is_empty() && !pod.has_volume(name)) else { return };
    let known: Vec<&str> = pod.volumes.iter().map(|(name, _)| *name).chain(pod.claims.iter().copied()).collect();
    let help = match known.iter().find(|known| strsim::jaro_winkler(known, name) > 0.85) {
        Some(close) => Some(format!("did you mean `{close}`?")),
        None if known.is_empty() => Some("add a volume of this name under `volumes`".to_owned()),
        None => Some(format!("the pod's volumes are {}", known.join(", "))),
    };
    out.error(code::NOT_FOUND, value, format!("the pod has no volume `{name}`")).help = help;
}

fn block_volume(pod: &Pod<'_>, device: &Node, out: &mut Findings<'_>) {
    let Some(volume) = pod.volume(text(device, "name")) else { return };
    if get(volume, "persistentVolumeClaim").is_none() && get(volume, "ephemeral").is_none() {
        let value = device.get("name").unwrap_or(device);
        out.error(
            code::INVALID,
            value,
            "a block device needs a volume of the kind `persistentVolumeClaim` or `ephemeral`",
        );
    }
}

fn sub_paths(mount: &Node, out: &mut Findings<'_>) {
    has_form(out, mount, "subPath", forms::descending_path);
    has_form(out, mount, "subPathExpr", forms::descending_path);
    if !is_missing(mount, "subPath") && !is_missing(mount, "subPathExpr") {
        forbid(out, mount, "subPathExpr", "together with `subPath`");
    }
}

fn propagation(container: &Node, mount: &Node, out: &mut Findings<'_>) {
    one_of_if_set(out, mount, "mountPropagation", &["Bidirectional", "HostToContainer", "None"]);
    let propagation = text(mount, "mountPropagation");
    let privileged = get(container, "securityContext").is_some_and(|context| flag(context, "privileged"));
    if propagation == "Bidirectional" && !privileged {
        let value = mount.get("mountPropagation").unwrap_or(mount);
        out.error(code::FORBIDDEN, value, "`Bidirectional` is allowed only in privileged containers");
    }
    if get(mount, "recursiveReadOnly").is_none() {
        return;
    }
    one_of_if_set(out, mount, "recursiveReadOnly", &["Disabled", "IfPossible", "Enabled"]);
    if matches!(text(mount, "recursiveReadOnly"), "IfPossible" | "Enabled") {
        if !flag(mount, "readOnly") {
            required(out, mount, "readOnly", ": `recursiveReadOnly` is allowed only for read-only mounts");
        }
        if !matches!(propagation, "" | "None") {
            forbid(out, mount, "recursiveReadOnly", "together with a `mountPropagation`");
        }
    }
}
