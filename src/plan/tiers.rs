//! From an event, or `--tier`, to what each tier runs.

use std::collections::BTreeMap;

use crate::config::Selection;
use crate::model::Tier;

/// The event whose row of the table holds for every event without one, and outside Actions.
const ANY_EVENT: &str = "workflow_dispatch";

/// What each tier runs, and who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    selections: BTreeMap<Tier, Selection>,
    /// `--tier full`, `event push`, `a local run`.
    pub(super) source: String,
}

impl Policy {
    /// The policy of a requested tier; without one that of the event's row in the config's table.
    pub(super) fn new(
        table: &BTreeMap<String, BTreeMap<Tier, Selection>>,
        event: &str,
        is_local: bool,
        requested: Option<Tier>,
    ) -> Self {
        if let Some(requested) = requested {
            return Self { selections: up_to(requested), source: format!("--tier {requested}") };
        }
        let row = [event, ANY_EVENT].into_iter().find_map(|row| Some((row, table.get(row)?)));
        let selections = row.map_or_else(|| up_to(Tier::Full), |(_, selections)| selections.clone());
        let source = match row {
            _ if is_local => format!("a local run (as {event})"),
            Some((row, _)) if row == event => format!("event {event}"),
            _ => format!("event {event} (as {ANY_EVENT})"),
        };
        Self { selections, source }
    }

    /// What the tier runs; a tier that is not named runs nothing.
    pub(super) fn selection(&self, tier: Tier) -> Selection {
        self.selections.get(&tier).copied().unwrap_or(Selection::None)
    }

    /// Why every example of the tier runs.
    pub(super) fn runs_all(&self, tier: Tier) -> String {
        format!("{} runs all {tier} examples", self.source)
    }

    /// Why no example of the tier runs.
    pub(super) fn runs_none(&self, tier: Tier) -> String {
        format!("{} runs no {tier} examples", self.source)
    }

    /// The words for the plan file: tier to selection.
    pub(super) fn words(&self) -> BTreeMap<Tier, String> {
        Tier::ALL.iter().map(|tier| (*tier, word(self.selection(*tier)).to_owned())).collect()
    }
}

fn up_to(requested: Tier) -> BTreeMap<Tier, Selection> {
    Tier::ALL.iter().filter(|tier| **tier <= requested).map(|tier| (*tier, Selection::All)).collect()
}

fn word(selection: Selection) -> &'static str {
    match selection {
        Selection::All => "all",
        Selection::Changed => "changed",
        Selection::Representative => "representative",
        Selection::Due => "due",
        Selection::None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn policy(event: &str, requested: Option<Tier>) -> [Selection; 3] {
        let policy = Policy::new(&Config::default().tiers, event, false, requested);
        [Tier::Basic, Tier::Full, Tier::Periodic].map(|tier| policy.selection(tier))
    }

    #[test]
    fn events_follow_the_table() {
        use Selection::{All, Changed, Due, None as Nothing, Representative};
        for (event, expected) in [
            ("pull_request", [All, Changed, Nothing]),
            ("merge_group", [All, Changed, Nothing]),
            ("push", [All, Representative, Nothing]),
            ("schedule", [All, All, Due]),
            ("workflow_dispatch", [All, All, Nothing]),
            ("release", [All, All, Nothing]),
        ] {
            assert_eq!(policy(event, None), expected, "{event}");
        }
    }

    #[test]
    fn a_requested_tier_wins_over_the_event_and_takes_all_below_it() {
        use Selection::{All, None as Nothing};
        for (tier, expected) in [
            (Tier::Basic, [All, Nothing, Nothing]),
            (Tier::Full, [All, All, Nothing]),
            (Tier::Periodic, [All, All, All]),
        ] {
            assert_eq!(policy("pull_request", Some(tier)), expected, "{tier}");
        }
    }

    #[test]
    fn an_event_of_another_row_says_which() {
        let table = Config::default().tiers;
        assert_eq!(Policy::new(&table, "merge_group", false, None).source, "event merge_group");
        assert_eq!(Policy::new(&table, "release", false, None).source, "event release (as workflow_dispatch)");
        assert_eq!(Policy::new(&table, "push", false, None).source, "event push");
        let local = Policy::new(&table, "workflow_dispatch", true, None);
        assert_eq!(local.runs_all(Tier::Full), "a local run (as workflow_dispatch) runs all full examples");
    }
}
