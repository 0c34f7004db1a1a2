//! Shards: which of `n` jobs takes which row. Longest processing time first, so that the jobs end at about the same time
//! (at most 4/3 of the best possible; Graham, "Bounds on Multiprocessing Timing Anomalies", 1969).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::PlanRow;

/// What one job should take at most where the number of shards is free, in milliseconds of expected work.
const WORK_PER_SHARD_MS: u64 = 30 * 60 * 1_000;
/// The most jobs that GitHub takes in one matrix.
pub(crate) const MAX_JOBS: usize = 256;

/// A good number of shards: a job for each half hour of work of each version, at least one job for each version.
pub(super) fn default_count(rows: &[PlanRow]) -> usize {
    let per_version = |cells: &Vec<usize>| {
        let jobs = usize::try_from(load(rows, cells).div_ceil(WORK_PER_SHARD_MS)).unwrap_or(MAX_JOBS);
        jobs.clamp(1, cells.len())
    };
    by_version(rows).values().map(per_version).fold(0, usize::saturating_add).clamp(1, MAX_JOBS)
}

/// The shard of each row, from 1; `None` for a row that is not selected.
pub(super) fn assign(rows: &[PlanRow], n: usize) -> Vec<Option<usize>> {
    let mut shards = vec![None; rows.len()];
    if n == 0 {
        return shards;
    }
    let versions = by_version(rows);
    if n < versions.len() {
        whole_versions(rows, &versions, n, &mut shards);
    } else {
        split_versions(rows, &versions, n, &mut shards);
    }
    fill_up(rows, n, &mut shards);
    shards
}

/// The places of the selected cells of each version.
fn by_version(rows: &[PlanRow]) -> BTreeMap<&str, Vec<usize>> {
    let mut versions: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate().filter(|(_, row)| row.selected) {
        if let Some(version) = &row.kubernetes {
            versions.entry(version).or_default().push(place);
        }
    }
    versions
}

fn load(rows: &[PlanRow], cells: &[usize]) -> u64 {
    cells.iter().map(|cell| rows[*cell].expected_ms).fold(0, u64::saturating_add)
}

/// Fewer shards than versions: whole versions, longest first.
fn whole_versions(rows: &[PlanRow], versions: &BTreeMap<&str, Vec<usize>>, n: usize, shards: &mut [Option<usize>]) {
    let groups: Vec<&Vec<usize>> = versions.values().collect();
    let loads: Vec<u64> = groups.iter().map(|cells| load(rows, cells)).collect();
    let keys: Vec<(u64, usize)> = loads.into_iter().enumerate().map(|(place, load)| (load, place)).collect();
    for (group, bin) in longest_first(keys, vec![0; n]) {
        groups[group].iter().for_each(|cell| shards[*cell] = Some(bin + 1));
    }
}

/// Enough shards: one for each version, the others one by one to the version whose shards have the most to do; in each
/// version cell by cell, longest first.
fn split_versions(rows: &[PlanRow], versions: &BTreeMap<&str, Vec<usize>>, n: usize, shards: &mut [Option<usize>]) {
    let groups: Vec<&Vec<usize>> = versions.values().collect();
    let loads: Vec<u64> = groups.iter().map(|cells| load(rows, cells)).collect();
    let mut counts = vec![1_usize; groups.len()];
    let mut heap: BinaryHeap<(u64, Reverse<usize>)> =
        loads.iter().enumerate().map(|(place, load)| (*load, Reverse(place))).collect();
    for _ in groups.len()..n {
        // A version with a shard for every cell is full; when all are, the shards that remain stay empty.
        let Some((_, Reverse(place))) =
            std::iter::from_fn(|| heap.pop()).find(|(_, Reverse(place))| counts[*place] < groups[*place].len())
        else {
            break;
        };
        counts[place] += 1;
        heap.push((loads[place] / counts[place] as u64, Reverse(place)));
    }
    let mut first = 0;
    for (cells, count) in groups.iter().zip(counts) {
        let keys = cells.iter().map(|cell| (rows[*cell].expected_ms, *cell)).collect();
        for (cell, bin) in longest_first(keys, vec![0; count]) {
            shards[cell] = Some(first + bin + 1);
        }
        first += count;
    }
}

/// Rows without a version go where there is least to do.
fn fill_up(rows: &[PlanRow], n: usize, shards: &mut [Option<usize>]) {
    let is_static = |row: &PlanRow| row.selected && row.kubernetes.is_none();
    let keys: Vec<(u64, usize)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| is_static(row))
        .map(|(place, row)| (row.expected_ms, place))
        .collect();
    let used = shards.iter().flatten().max().copied().unwrap_or(0);
    // Static rows are quick: they never open a shard beside those that have a cluster.
    let bins = if used > 0 { used } else { n.min(keys.len()) };
    let mut loads = vec![0_u64; bins];
    for (row, shard) in rows.iter().zip(shards.iter()) {
        if let Some(shard) = shard {
            loads[shard - 1] = loads[shard - 1].saturating_add(row.expected_ms);
        }
    }
    for (place, bin) in longest_first(keys, loads) {
        shards[place] = Some(bin + 1);
    }
}

/// Puts each key (its length, its place) into the bin with the least in it, longest first; of equals the first.
fn longest_first(mut keys: Vec<(u64, usize)>, loads: Vec<u64>) -> Vec<(usize, usize)> {
    keys.sort_unstable_by_key(|(length, place)| (Reverse(*length), *place));
    let mut bins: BinaryHeap<Reverse<(u64, usize)>> =
        loads.into_iter().enumerate().map(|(bin, load)| Reverse((load, bin))).collect();
    let mut put = Vec::with_capacity(keys.len());
    for (length, place) in keys {
        let Some(Reverse((load, bin))) = bins.pop() else { break };
        bins.push(Reverse((load.saturating_add(length), bin)));
        put.push((place, bin));
    }
    put
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExampleId, Tier};
    use proptest::prelude::*;

    fn row(number: usize, version: Option<&str>, expected_ms: u64, selected: bool) -> PlanRow {
        PlanRow {
            example: ExampleId::new(format!("{number:05}.yaml")),
            tier: Tier::Full,
            kubernetes: version.map(str::to_owned),
            selected,
            basic: true,
            outcome: None,
            reason: String::new(),
            expected_ms,
        }
    }

    fn cells(cells: &[(&str, u64)]) -> Vec<PlanRow> {
        cells.iter().enumerate().map(|(number, (version, ms))| row(number, Some(version), *ms, true)).collect()
    }

    #[test]
    fn the_longest_go_first_to_where_there_is_least_to_do() {
        let rows = cells(&[("v1", 2), ("v1", 3), ("v1", 7), ("v1", 4)]);
        assert_eq!(assign(&rows, 2), [1, 2, 1, 2].map(Some));
    }

    #[test]
    fn a_shard_has_one_version_where_there_are_enough_shards() {
        let rows = cells(&[("v1", 10), ("v1", 10), ("v2", 10), ("v2", 30)]);
        assert_eq!(assign(&rows, 3), [1, 1, 3, 2].map(Some));
    }

    #[test]
    fn a_version_stays_whole_where_there_are_fewer_shards_than_versions() {
        let rows = cells(&[("v1", 5), ("v1", 5), ("v2", 9), ("v3", 2)]);
        assert_eq!(assign(&rows, 2), [1, 1, 2, 2].map(Some));
    }

    #[test]
    fn static_rows_join_the_shards_that_have_a_cluster() {
        let mut rows = cells(&[("v1", 100), ("v1", 50)]);
        rows.push(row(7, None, 5, true));
        rows.push(row(8, None, 0, false));
        assert_eq!(assign(&rows, 9), [Some(1), Some(2), Some(2), None]);
    }

    #[test]
    fn the_default_is_a_job_for_each_half_hour_and_at_least_one_a_version() {
        let minutes = |minutes: u64| minutes * 60_000;
        assert_eq!(default_count(&[]), 1);
        assert_eq!(default_count(&cells(&[("v1", 1), ("v2", 1)])), 2);
        assert_eq!(default_count(&cells(&[("v1", minutes(20)), ("v1", minutes(20)), ("v2", 1)])), 3);
        assert_eq!(default_count(&cells(&[("v1", minutes(500))])), 1);
    }

    fn any_rows() -> impl Strategy<Value = Vec<PlanRow>> {
        let version = prop_oneof![Just(None), Just(Some("v1")), Just(Some("v2")), Just(Some("v3"))];
        proptest::collection::vec((version, 0u64..5_000, proptest::bool::weighted(0.8)), 0..60).prop_map(|cells| {
            let rows = cells.into_iter().enumerate();
            rows.map(|(number, (version, ms, selected))| row(number, version, ms, selected)).collect()
        })
    }

    proptest! {
        #[test]
        fn every_selected_row_is_in_exactly_one_shard(rows in any_rows(), n in 1usize..80) {
            for (row, shard) in rows.iter().zip(assign(&rows, n)) {
                prop_assert_eq!(shard.is_some(), row.selected);
                prop_assert!(shard.is_none_or(|shard| (1..=n).contains(&shard)));
            }
        }

        #[test]
        fn a_shard_never_mixes_versions_while_there_are_enough(rows in any_rows(), n in 3usize..80) {
            let mut versions = BTreeMap::new();
            for (row, shard) in rows.iter().zip(assign(&rows, n)) {
                if let (Some(version), Some(shard)) = (&row.kubernetes, shard) {
                    prop_assert_eq!(versions.entry(shard).or_insert(version), &version);
                }
            }
        }

        #[test]
        fn no_shard_is_longer_than_the_bound(lengths in proptest::collection::vec(1u64..1_000, 1..50), n in 1usize..20) {
            let rows: Vec<_> = lengths.iter().enumerate().map(|(i, ms)| row(i, Some("v1"), *ms, true)).collect();
            let mut loads = vec![0; n + 1];
            for (row, shard) in rows.iter().zip(assign(&rows, n)) {
                loads[shard.unwrap()] += row.expected_ms;
            }
            let longest = loads.iter().max().unwrap();
            let lower = lengths.iter().sum::<u64>().div_ceil(n as u64) + lengths.iter().max().unwrap();
            prop_assert!(*longest <= lower);
        }
    }
}
