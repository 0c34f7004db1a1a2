//! What there is where a series is not: the same metric with other labels, or metrics with similar names. Pure.

use std::collections::BTreeSet;

use super::exposition::{Sample, series};
use crate::metric_selector::Selector;
use crate::schema::closest;

/// Most names or series that are told.
const SHOWN: usize = 5;
/// How alike two names are at least (Jaro-Winkler) that are told together.
const ALIKE: f64 = 0.85;

/// Why there is no such series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absent {
    /// What there is, to stand after `no series x`; empty if nothing is known.
    pub there_are: String,
    /// What may have been meant.
    pub hint: String,
    /// There are such series, only of other namespaces: of this one nothing was counted yet.
    pub is_known: bool,
}

impl Absent {
    /// What there is of the metric itself; `None` if nothing.
    pub(super) fn same_metric(selector: &Selector, samples: &[Sample]) -> Option<Self> {
        let same: Vec<_> = samples.iter().filter(|sample| sample.name == selector.name).collect();
        if same.is_empty() {
            return None;
        }
        let has = |label: &str| same.iter().any(|sample| sample.labels.iter().any(|(own, _)| own == label));
        let unknown = selector.matchers.iter().map(|matcher| matcher.label.as_str()).find(|label| !has(label));
        let own: BTreeSet<_> = same.iter().flat_map(|sample| &sample.labels).map(|(label, _)| label.as_str()).collect();
        let hint = unknown.map(|label| match closest(label, own.iter().copied()) {
            Some(near) => format!("no series of it has a label `{label}`, did you mean `{near}`?"),
            None => format!("no series of it has a label `{label}`"),
        });
        let all: Vec<_> = same.iter().map(|sample| series(&sample.name, &sample.labels)).collect();
        Some(Self {
            there_are: format!("; there are: {}", listed(&all)),
            is_known: unknown.is_none()
                && same.iter().any(|sample| selector.is_met_elsewhere(&sample.name, &sample.labels)),
            hint: hint.unwrap_or_default(),
        })
    }

    /// Other metrics.
    pub(super) fn other_metrics(wanted: &str, names: &BTreeSet<String>) -> Self {
        let mut alike: Vec<_> = names.iter().map(|name| (strsim::jaro_winkler(wanted, name), name.as_str())).collect();
        alike.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let near: Vec<_> = alike.iter().take_while(|(score, _)| *score >= ALIKE).map(|(_, name)| *name).collect();
        let there_are = if names.is_empty() {
            "; there are no metrics at all".to_owned()
        } else if near.is_empty() {
            format!("; there are other metrics: {}", listed(&alike.iter().map(|(_, name)| *name).collect::<Vec<_>>()))
        } else {
            format!("; there are: {}", listed(&near))
        };
        let hint = closest(wanted, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        Self { there_are, hint: hint.unwrap_or_default(), is_known: false }
    }
}

fn listed<T: AsRef<str>>(all: &[T]) -> String {
    let shown: Vec<_> = all.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let more = all.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::exposition::parse;
    use super::*;

    const OPERATOR: &str = "jobs_created_total{framework=\"pytorch\",job_namespace=\"a\"} 1\n\
        jobs_created_total{framework=\"tf\",job_namespace=\"b\"} 1\njobs_deleted_total 1\ngo_threads 1\n";

    fn same(selector: &str) -> Option<Absent> {
        Absent::same_metric(&Selector::of_namespace(selector, "ev-1").unwrap(), &parse(OPERATOR.as_bytes()).samples)
    }

    fn other(wanted: &str) -> Absent {
        Absent::other_metrics(wanted, &parse(OPERATOR.as_bytes()).names)
    }

    #[test]
    fn the_same_metric_with_other_labels_is_told() {
        let absent = same("jobs_created_total{job_namespace=\"{namespace}\"}").unwrap();
        assert_eq!(
            absent.there_are,
            "; there are: jobs_created_total{framework=\"pytorch\",job_namespace=\"a\"}, \
             jobs_created_total{framework=\"tf\",job_namespace=\"b\"}"
        );
        assert!(absent.is_known && absent.hint.is_empty());
        let absent = same("jobs_created_total{job_namespac=\"a\"}").unwrap();
        assert!(!absent.is_known);
        assert_eq!(absent.hint, "no series of it has a label `job_namespac`, did you mean `job_namespace`?");
        assert_eq!(same("jobs_created"), None);
        let known = |selector: &str| same(selector).unwrap().is_known;
        assert!(known("jobs_created_total{job_namespace=\"{namespace}\",framework=\"tf\"}"));
        assert!(!known("jobs_created_total{job_namespace=\"{namespace}\",framework=\"pytroch\"}"), "misspelt");
        assert!(!known("jobs_created_total{job_namespace=\"c\"}"), "no namespace of ours");
    }

    #[test]
    fn metrics_with_names_like_it_are_told() {
        let absent = other("jobs_create_total");
        assert!(absent.there_are.starts_with("; there are: jobs_created_total, jobs_deleted_total"), "{absent:?}");
        assert_eq!(absent.hint, "did you mean `jobs_created_total`?");
        assert!(other("jobs_created").there_are.contains("jobs_created_total"));
        let absent = other("xyz");
        assert!(absent.there_are.starts_with("; there are other metrics: "), "{absent:?}");
        assert_eq!(Absent::other_metrics("x", &BTreeSet::new()).there_are, "; there are no metrics at all");
    }
}
