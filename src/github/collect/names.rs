//! What artifacts are called, and which of those of a workflow run are meant.

use std::collections::BTreeMap;

use crate::settings::Shard;

/// The artifact of a run's results, where the input `artifact-name` says nothing.
pub const DEFAULT_NAME: &str = "example-validator-report";
/// The artifact of the plan.
pub const PLAN_NAME: &str = "example-validator-plan";

/// The name of the artifact of a run: `base`, and of a shard `base-1-of-4`, so that the jobs of a matrix don't overwrite each
/// other's.
#[must_use]
pub fn artifact_name(base: &str, shard: Option<Shard>) -> String {
    shard.map_or_else(|| base.to_owned(), |shard| format!("{base}-{}-of-{}", shard.number, shard.count))
}

/// What an artifact is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The plan.
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
    if name == PLAN_NAME {
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

/// The artifacts that are meant, each with what it is: of several with one name the newest, as an attempt that was run again
/// leaves it. In the order of their kinds.
#[must_use]
pub fn meant(base: &str, listed: Vec<Listed>) -> Vec<(Kind, Listed)> {
    let mut newest: BTreeMap<Kind, Listed> = BTreeMap::new();
    for artifact in listed {
        let Some(kind) = kind(base, &artifact.name) else { continue };
        if newest.get(&kind).is_none_or(|known| known.id < artifact.id) {
            newest.insert(kind, artifact);
        }
    }
    newest.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        assert_eq!(kind("r", PLAN_NAME), Some(Kind::Plan));
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
        ] {
            assert_eq!(kind("r", other), None, "{other}");
        }
    }

    #[test]
    fn of_several_attempts_the_newest_is_meant() {
        let all = vec![
            listed(7, "r-1-of-2"),
            listed(12, "r-2-of-2"),
            listed(9, "r-1-of-2"),
            listed(3, "logs"),
            listed(4, PLAN_NAME),
            listed(8, "r-1-of-2"),
        ];
        let meant: Vec<_> = meant("r", all).into_iter().map(|(kind, artifact)| (kind, artifact.id)).collect();
        assert_eq!(meant, [(Kind::Plan, 4), (Kind::Shard(1, 2), 9), (Kind::Shard(2, 2), 12)]);
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
