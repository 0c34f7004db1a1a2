//! Security contexts of pods and containers.

use std::collections::HashSet;

use super::super::forms;
use super::super::read::{flag, get, list, strings, structs, text};
use super::super::report::{
    forbid, has_form, in_range, one_of_if_set, repeated, require, require_form, require_one_of, required, within,
};
use super::CONTAINER_LISTS;
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

/// Ids of users and groups.
const IDS: (i64, i64) = (0, i32::MAX as i64);
const PROFILE_TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
/// Kernel parameters that belong to a namespace of the node, by their first part.
const NET_SYSCTL: &str = "net.";
const IPC_SYSCTLS: [&str; 4] = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."];

/// What a Windows pod cannot have in its security context.
pub(super) const LINUX_POD_FIELDS: [&str; 11] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
];
/// What a container of a Windows pod cannot have in its security context.
pub(super) const LINUX_CONTAINER_FIELDS: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// The security context of a pod, and what it and those of its containers must agree on.
pub(super) fn check_pod(spec: &Node, out: &mut Findings<'_>) {
    host_process(spec, out);
    let Some(context) = get(spec, "securityContext") else { return };
    for key in ["fsGroup", "runAsUser", "runAsGroup"] {
        in_range(out, context, key, IDS);
    }
    for group in list(context, "supplementalGroups") {
        if let Some(id) = group.as_i64() {
            within(out, group, id, IDS);
        }
    }
    sysctls(spec, context, out);
    one_of_if_set(out, context, "fsGroupChangePolicy", &["OnRootMismatch", "Always"]);
    one_of_if_set(out, context, "supplementalGroupsPolicy", &["Merge", "Strict"]);
    one_of_if_set(out, context, "seLinuxChangePolicy", &["Recursive", "MountOption"]);
    profiles(context, out);
}

/// The security context of a container.
pub(super) fn check_container(spec: &Node, context: &Node, out: &mut Findings<'_>) {
    in_range(out, context, "runAsUser", IDS);
    in_range(out, context, "runAsGroup", IDS);
    one_of_if_set(out, context, "procMount", &["Default", "Unmasked"]);
    let host_users = get(spec, "hostUsers").and_then(Node::as_bool).unwrap_or(true);
    if text(context, "procMount") == "Unmasked" && host_users {
        forbid(out, context, "procMount", "to `Unmasked` unless the pod's `hostUsers` is false");
    }
    if get(context, "allowPrivilegeEscalation").and_then(Node::as_bool) == Some(false) {
        if flag(context, "privileged") {
            forbid(out, context, "allowPrivilegeEscalation", "to false when `privileged` is true");
        }
        let capabilities = get(context, "capabilities");
        if capabilities.is_some_and(|all| strings(all, "add").any(|(_, name)| name == "CAP_SYS_ADMIN")) {
            forbid(out, context, "allowPrivilegeEscalation", "to false when CAP_SYS_ADMIN is added");
        }
    }
    profiles(context, out);
}

fn profiles(context: &Node, out: &mut Findings<'_>) {
    for key in ["seccompProfile", "appArmorProfile"] {
        let Some(profile) = get(context, key) else { continue };
        require_one_of(out, profile, "type", &PROFILE_TYPES);
        if text(profile, "type") != "Localhost" {
            forbid(out, profile, "localhostProfile", "unless `type` is `Localhost`");
            continue;
        }
        if !require(out, profile, "localhostProfile") {
            continue;
        }
        if key == "seccompProfile" {
            has_form(out, profile, "localhostProfile", forms::descending_path);
        } else if let Some(value) = get(profile, "localhostProfile")
            && value.as_str().is_some_and(|path| path.trim() != path || path.len() > 4095)
        {
            out.error(code::FORMAT, value, "must have at most 4095 characters and no white space around it");
        }
    }
    if let Some(options) = get(context, "windowsOptions") {
        windows_options(options, out);
    }
}

fn sysctls(spec: &Node, context: &Node, out: &mut Findings<'_>) {
    let mut seen = HashSet::new();
    for sysctl in structs(context, "sysctls") {
        require_form(out, sysctl, "name", forms::sysctl);
        let name = text(sysctl, "name");
        if !name.is_empty() && !seen.insert(name) {
            repeated(out, sysctl, "name", "name");
        }
        let dotted = name.replace('/', ".");
        if flag(spec, "hostNetwork") && dotted.starts_with(NET_SYSCTL) {
            forbid(out, sysctl, "name", "to a parameter of the network when `hostNetwork` is true");
        }
        if flag(spec, "hostIPC") && IPC_SYSCTLS.iter().any(|prefix| dotted.starts_with(prefix)) {
            forbid(out, sysctl, "name", "to a parameter of IPC when `hostIPC` is true");
        }
    }
}

fn windows_options(options: &Node, out: &mut Findings<'_>) {
    if let Some(value) = get(options, "gmsaCredentialSpecName")
        && let Some(name) = value.as_str()
        && let Some(complaint) = forms::dns_subdomain(name)
    {
        out.error(code::NAME, value, format!("`{name}` {complaint}"));
    }
    if let Some(value) = get(options, "gmsaCredentialSpec")
        && value.as_str().is_some_and(|spec| spec.is_empty() || spec.len() > 64 * 1024)
    {
        out.error(code::FORMAT, value, "must not be empty, and not longer than 64 KiB");
    }
    if let Some(value) = get(options, "runAsUserName")
        && value.as_str().is_some_and(|name| !is_windows_user(name))
    {
        out.error(code::FORMAT, value, "is not a valid name of a Windows user: expected `user` or `domain\\user`");
    }
}

/// `user` or `domain\user`.
fn is_windows_user(name: &str) -> bool {
    let (domain, user) = match name.split_once('\\') {
        Some((domain, user)) => (Some(domain), user),
        None => (None, name),
    };
    let bad = |c: char| "\"/\\:;|=,+*?<>@[]".contains(c);
    let bad_domain = |domain: &str| {
        domain.is_empty()
            || domain.len() >= 256
            || domain.starts_with('.')
            || domain.contains(|c: char| "\\/:*?\"<>|".contains(c))
    };
    !name.chars().any(char::is_control)
        && !domain.is_some_and(bad_domain)
        && !user.is_empty()
        && user.len() <= 104
        && !user.contains(bad)
        && user.chars().any(|c| c != '.' && c != ' ')
}

/// Windows' host process containers: all of a pod or none, and on the node's network.
fn host_process(spec: &Node, out: &mut Findings<'_>) {
    let own = |node: &Node| {
        let context = get(node, "securityContext")?;
        get(get(context, "windowsOptions")?, "hostProcess")?.as_bool()
    };
    let pod = own(spec);
    let containers: Vec<&Node> = CONTAINER_LISTS.iter().flat_map(|list| structs(spec, list)).collect();
    let mut count = 0;
    for container in &containers {
        let found = own(container);
        if let (Some(of_pod), Some(of_container)) = (pod, found)
            && of_pod != of_container
        {
            out.error(code::INVALID, *container, format!("`hostProcess` must be {of_pod}, as for the pod"));
        }
        count += usize::from(found.or(pod) == Some(true));
    }
    if count > 0 {
        if count != containers.len() {
            out.error(code::INVALID, spec, "either all containers or none must have `hostProcess: true`");
        }
        if !flag(spec, "hostNetwork") {
            required(out, spec, "hostNetwork", ": it must be true for host process containers");
        }
    }
}
