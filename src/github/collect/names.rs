//! What artifacts are called, and which of those of a workflow run are meant.

use std::collections::BTreeMap;

use crate::settings::Shard;

/// The artifact of a run's results, where the input `artifact-name` says nothing.
pub const DEFAULT_NAME: &str = "example-validator-report";
/// What the artifact of a plan is called, before the digits of its digest.
const PLAN: &str = "example-validator-plan-";
/// How many hex digits of its digest a plan's artifact is called after.
const DIGITS: usize = 12;

/// The name of the artifact of the plan with this digest (`sha256:` and 64 hex digits): the plans of several fan-outs of one run live
/// beside each other.
#[must_use]
pub fn plan_name(digest: &str) -> String {
    let digits: String = digest.strip_prefix("sha256:").unwrap_or(digest).chars().take(DIGITS).collect();
    format!("{PLAN}{digits}")
}

/// Whether it is the name of a plan's artifact.
pub fn is_plan(name: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.strip_prefix(PLAN).is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(is_digit))
}

/// The name of the artifact of a run: `base`, and of a shard `base-1-of-4`, so that the jobs of a matrix don't overwrite each
/// other's.
#[must_use]
pub fn artifact_name(base: &str, shard: Option<Shard>) -> String {
    shard.map_or_else(|| base.to_owned(), |shard| format!("{base}-{}-of-{}", shard.number, shard.count))
}

/// What an artifact is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A plan.
    Plan,
    /// The results of a run that is not parted: of the first of the jobs that gave them this name, the second, ...
    Whole(usize),
    /// The results of a shard: its number, and how many there are.
    Shard(usize, usize),
}

/// The name that the job takes which is the `number`-th, from 1, to want `name`: GitHub keeps one artifact a name and run, and the legs of
/// a matrix know nothing of each other.
#[must_use]
pub fn namesake(name: &str, number: usize) -> String {
    if number < 2 { name.to_owned() } else { format!("{name}-{number}") }
}

/// What the artifact with this name is to a run whose artifacts are called `base`; `None` if it is none of ours.
#[must_use]
pub fn kind(base: &str, name: &str) -> Option<Kind> {
    if is_plan(name) {
        return Some(Kind::Plan);
    }
    if name == base {
        return Some(Kind::Whole(1));
    }
    let rest = name.strip_prefix(base)?;
    of_shard(rest).or_else(|| {
        let (before, number) = rest.rsplit_once('-')?;
        let number: usize = number.parse().ok()?;
        let is_ours = number > 1 && namesake(&format!("{base}{before}"), number) == name;
        // The namesake of a shard is another attempt at it.
        let kind = if before.is_empty() { Some(Kind::Whole(number)) } else { of_shard(before) };
        kind.filter(|_| is_ours)
    })
}

/// The shard in `-1-of-4`.
fn of_shard(rest: &str) -> Option<Kind> {
    let shard: Shard = rest.strip_prefix('-')?.replacen("-of-", "/", 1).parse().ok()?;
    // `01` and ` 1` are read as 1, but never written.
    (artifact_name("", Some(shard)) == rest).then_some(Kind::Shard(shard.number.get(), shard.count.get()))
}

/// An artifact as a listing has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number; later ones have greater numbers.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The bytes of its archive.
    pub size: u64,
    /// Whether GitHub has deleted its content.
    pub expired: bool,
}

/// The artifacts that are meant, by what they are; those that are the same the oldest first. The last one holds, as an attempt that was
/// run again leaves it, unless it belongs to another fan-out of the run. `listed` says how an artifact is listed.
#[must_use]
pub fn meant<T>(base: &str, all: Vec<T>, listed: impl Fn(&T) -> &Listed) -> BTreeMap<Kind, Vec<T>> {
    let mut meant: BTreeMap<Kind, Vec<T>> = BTreeMap::new();
    for artifact in all {
        if let Some(kind) = kind(base, &listed(&artifact).name) {
            meant.entry(kind).or_default().push(artifact);
        }
    }
    for alike in meant.values_mut() {
        alike.sort_by_key(|artifact| listed(artifact).id);
    }
    meant
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn listed(id: u64, name: &str) -> Listed {
        Listed { id, name: name.to_owned(), size: 1, expired: false }
    }

    #[test]
    fn names_say_which_shard_it_is() {
        assert_eq!(artifact_name("r", None), "r");
        assert_eq!(artifact_name("r", Some("2/4".parse().unwrap())), "r-2-of-4");
        assert_eq!(kind("r", "r"), Some(Kind::Whole(1)));
        assert_eq!(kind("r", &namesake("r", 3)), Some(Kind::Whole(3)));
        assert_eq!(kind("r", &namesake("r-2-of-4", 2)), Some(Kind::Shard(2, 4)));
        assert_eq!(kind("r", "r-2-of-4"), Some(Kind::Shard(2, 4)));
        assert_eq!(kind("r", &plan_name(DIGEST)), Some(Kind::Plan));
        for other in [
            "r-5-of-4",
            "r-0-of-4",
            "r-a-of-b",
            "r-01-of-4",
            "r- 1-of-4",
            "r2-of-4",
            "rx",
            "x",
            "r-",
            "r-1/4",
            "r-1",
            "r-02",
            "r--2",
            "r-1-of-4-1",
            "example-validator-plan",
            "example-validator-plan-0123456789aB",
            "example-validator-plan-0123456789abc",
        ] {
            assert_eq!(kind("r", other), None, "{other}");
        }
    }

    #[test]
    fn of_several_attempts_the_newest_is_the_last_one() {
        let (one, other) = (plan_name(DIGEST), plan_name(&DIGEST.replacen("012", "987", 1)));
        assert_eq!(one, "example-validator-plan-0123456789ab");
        let all = vec![
            listed(7, "r-1-of-2"),
            listed(12, "r-2-of-2"),
            listed(9, "r-1-of-2"),
            listed(3, "logs"),
            listed(5, &other),
            listed(4, &one),
            listed(8, "r-1-of-2-2"),
        ];
        let meant = meant("r", all, |listed| listed).into_iter();
        let meant: Vec<_> = meant.map(|(kind, alike)| (kind, alike.iter().map(|one| one.id).collect())).collect();
        assert_eq!(
            meant,
            [(Kind::Plan, vec![4, 5]), (Kind::Shard(1, 2), vec![7, 8, 9]), (Kind::Shard(2, 2), vec![12])]
        );
    }

    proptest! {
        #[test]
        fn a_name_is_read_back(base in "[a-z-]{1,8}", count in 1_usize..300, seed in 0_usize..300) {
            let shard: Shard = format!("{}/{count}", seed % count + 1).parse().unwrap();
            let expected = Kind::Shard(shard.number.get(), shard.count.get());
            prop_assert_eq!(kind(&base, &artifact_name(&base, Some(shard))), Some(expected));
        }
    }
}
