//! Who can be asked for samples: each kubelet, and the metrics server. Pure.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::ask::{Ask, Failure};

/// After so many failures in a row it is no matter of a moment.
const IN_A_ROW: u32 = 3;
/// For so long who fails is then left alone.
const PAUSE: Duration = Duration::from_secs(60);

/// Who can be asked.
#[derive(Debug, Default)]
pub struct Doors {
    nodes: HashMap<String, Door>,
    metrics_server: Door,
}

#[derive(Debug, Default)]
struct Door {
    asked: Option<Instant>,
    in_a_row: u32,
    shut: Option<Shut>,
    /// It has to be asked for all that it tells, to hear of containers.
    tells_all: bool,
}

#[derive(Debug)]
struct Shut {
    /// `None`: for good.
    until: Option<Instant>,
    why: String,
}

impl Door {
    fn why_shut(&self, now: Instant) -> Option<&str> {
        let shut = self.shut.as_ref().filter(|shut| shut.until.is_none_or(|until| now < until))?;
        Some(&shut.why)
    }
}

impl Doors {
    /// Why a node's kubelet can't be asked; `None` if it can.
    pub fn why_not_kubelet(&self, node: &str, now: Instant) -> Option<&str> {
        self.nodes.get(node)?.why_shut(now)
    }

    /// Why the metrics server can't be asked; `None` if it can.
    pub fn why_not_metrics_server(&self, now: Instant) -> Option<&str> {
        self.metrics_server.why_shut(now)
    }

    /// When a node's kubelet was asked last.
    pub fn asked(&self, node: &str) -> Option<Instant> {
        self.nodes.get(node)?.asked
    }

    /// Whether it has to be asked for all that it tells.
    pub fn tells_all(&self, ask: &Ask) -> bool {
        matches!(ask, Ask::Node(node) if self.nodes.get(node).is_some_and(|door| door.tells_all))
    }

    /// Takes note that somebody is asked.
    pub fn ask(&mut self, ask: &Ask, now: Instant) {
        self.door(ask).asked = Some(now);
    }

    /// Takes note of whether there was an answer.
    pub fn heard(&mut self, ask: &Ask, now: Instant, failure: Option<&Failure>) {
        let door = self.door(ask);
        match failure {
            None => (door.in_a_row, door.shut) = (0, None),
            Some(Failure::Moment(_)) => {}
            Some(Failure::Bare(_)) => door.tells_all = true,
            Some(Failure::Refused(why)) => door.shut = Some(Shut { until: None, why: why.clone() }),
            Some(Failure::Broken(why)) => {
                door.in_a_row += 1;
                if door.in_a_row >= IN_A_ROW {
                    door.in_a_row = 0;
                    door.shut = Some(Shut { until: Some(now + PAUSE), why: why.clone() });
                }
            }
        }
    }

    fn door(&mut self, ask: &Ask) -> &mut Door {
        match ask {
            Ask::Node(node) => self.nodes.entry(node.clone()).or_default(),
            Ask::Namespace(_) => &mut self.metrics_server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_refuses_is_not_asked_again_and_who_fails_often_not_for_a_while() {
        let (mut doors, now) = (Doors::default(), Instant::now());
        let node = |name: &str| Ask::Node(name.to_owned());
        doors.heard(&node("a"), now, Some(&Failure::Refused("403".to_owned())));
        assert_eq!(doors.why_not_kubelet("a", now + PAUSE * 100), Some("403"));
        assert_eq!(doors.why_not_kubelet("b", now), None);
        let broken = Failure::Broken("502".to_owned());
        for failure in [Some(&broken), Some(&broken), None, Some(&broken), Some(&broken)] {
            doors.heard(&node("b"), now, failure);
        }
        doors.heard(&node("b"), now, Some(&Failure::Moment("429".to_owned())));
        assert_eq!(doors.why_not_kubelet("b", now), None);
        doors.heard(&node("b"), now, Some(&broken));
        assert_eq!(doors.why_not_kubelet("b", now), Some("502"));
        assert_eq!(doors.why_not_kubelet("b", now + PAUSE), None);
        let namespace = Ask::Namespace("ev".to_owned());
        doors.heard(&namespace, now, Some(&Failure::Refused("404".to_owned())));
        assert_eq!(doors.why_not_metrics_server(now), Some("404"));
    }
}
