//! Probes and lifecycle handlers.

use super::super::forms;
use super::super::read::{get, int, is_missing, structs};
use super::super::report::{
    allowed_value, forbid, in_range, non_negative, one_of, require_form, require_port, require_port_or_name, required,
};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

/// The signals that stop a container on Linux, besides the real-time ones; Windows knows two of them.
const SIGNALS: &str = "SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT SIGKILL \
                       SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP \
                       SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ SIGRTMIN SIGRTMAX";
const WINDOWS_SIGNALS: [&str; 2] = ["SIGKILL", "SIGTERM"];
/// The real-time signals by their distance from the first, and from the last.
const REAL_TIME: [(&str, u8); 2] = [("SIGRTMIN+", 15), ("SIGRTMAX-", 14)];

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

/// The signal that stops a container, on the operating system that the pod names.
pub(super) fn stop_signal(lifecycle: &Node, os: Option<&str>, out: &mut Findings<'_>) {
    let Some(value) = get(lifecycle, "stopSignal") else { return };
    let Some(signal) = value.as_str() else { return };
    match os {
        None => forbid(out, lifecycle, "stopSignal", "unless the pod's `os.name` is set"),
        Some("windows") => allowed_value(out, value, signal, &WINDOWS_SIGNALS),
        Some("linux") if !is_signal(signal) => {
            out.error(code::NOT_ALLOWED, value, format!("`{signal}` is not a signal, as `SIGTERM` or `SIGRTMIN+3` is"));
        }
        Some(_) => {}
    }
}

fn is_signal(text: &str) -> bool {
    SIGNALS.split_whitespace().any(|known| known == text)
        || REAL_TIME.iter().any(|(prefix, most)| {
            text.strip_prefix(prefix).is_some_and(|steps| (1..=*most).any(|step| step.to_string() == steps))
        })
}
