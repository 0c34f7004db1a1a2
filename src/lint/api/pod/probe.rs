//! Probes and lifecycle handlers.

use super::super::forms;
use super::super::read::{get, int, is_missing, structs};
use super::super::report::{
    forbid, in_range, non_negative, one_of, require_form, require_port, require_port_or_name, required,
};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// The probe of a container that stands under `kind`.
pub(super) fn check(probe: &Node, kind: &str, grace: i64, out: &mut Findings<'_>) {
    handler(probe, grace, out);
    let counts = ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
    non_negative(out, probe, &counts);
    in_range(out, probe, "terminationGracePeriodSeconds", (1, i64::MAX));
    if kind == "readinessProbe" {
        forbid(out, probe, "terminationGracePeriodSeconds", "for a readiness probe");
    } else if int(probe, "successThreshold").is_some_and(|count| count > 1) {
        let value = probe.get("successThreshold").unwrap_or(probe);
        out.error(code::RANGE, value, format!("must be 1 for a {}", kind.replace("Probe", " probe")));
    }
}

/// Exactly one way of asking or telling a container something.
pub(super) fn handler(node: &Node, grace: i64, out: &mut Findings<'_>) {
    let found: Vec<&str> = HANDLERS.into_iter().filter(|key| get(node, key).is_some()).collect();
    let Some(first) = found.first() else {
        // A handler whose only key is one that this list does not know (`stopSignal`) is still no handler.
        out.error(code::REQUIRED, node, "a handler is required: `exec`, `httpGet`, `tcpSocket` or `grpc`");
        return;
    };
    for other in &found[1..] {
        forbid(out, node, other, &format!("together with `{first}`: one handler is allowed"));
    }
    let Some(action) = node.get(first) else { return };
    match *first {
        "exec" if is_missing(action, "command") => required(out, action, "command", ""),
        "httpGet" => {
            require_port_or_name(out, action, "port");
            one_of(out, action, "scheme", &["HTTP", "HTTPS"]);
            for header in structs(action, "httpHeaders") {
                require_form(out, header, "name", forms::header_name);
            }
        }
        "tcpSocket" => require_port_or_name(out, action, "port"),
        "grpc" => require_port(out, action, "port"),
        "sleep" => in_range(out, action, "seconds", (0, grace)),
        _ => {}
    }
}
