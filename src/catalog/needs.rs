//! What examples need of each other: names that must exist, and no circles.

use std::collections::{BTreeMap, BTreeSet};

use super::nearest;

/// What is wrong with one `needs` of an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The example whose `needs` is wrong.
    pub id: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Needs by example. After [`resolve`] they name examples that exist, and form no circle.
pub type Needs = BTreeMap<String, Vec<String>>;

/// Takes out of `needs` what names no example of `known`, and what closes a circle; says so for each.
pub fn resolve(needs: &mut Needs, known: &BTreeSet<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (id, wanted) in needs.iter_mut() {
        wanted.retain(|need| {
            let exists = known.contains(need);
            if !exists {
                problems.push(unknown(id, need, known));
            }
            exists
        });
    }
    problems.extend(circles(needs));
    problems
}

/// `roots`, and everything that they need, directly or not.
#[must_use]
pub fn closure(needs: &Needs, roots: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let mut open: Vec<String> = roots.into_iter().collect();
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if found.insert(id.clone()) {
            open.extend(needs.get(&id).into_iter().flatten().cloned());
        }
    }
    found
}

fn unknown(id: &str, need: &str, known: &BTreeSet<String>) -> Problem {
    let help = match nearest(need, known.iter().map(String::as_str).filter(|known| *known != id)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`needs` names examples by their path from the root, like examples/setup/etcd.yaml".to_owned(),
    };
    Problem { id: id.to_owned(), message: format!("`needs` names `{need}`, and there is no such example"), help }
}

/// Removes each edge that closes a circle, found depth-first in the order of ids.
fn circles(needs: &mut Needs) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut done = BTreeSet::new();
    let ids: Vec<String> = needs.keys().cloned().collect();
    for start in ids {
        // The way down from `start`: an example, and how many of its needs were followed.
        let mut path: Vec<(String, usize)> = vec![(start, 0)];
        while let Some((id, next)) = path.last().cloned() {
            let wanted = if done.contains(&id) { None } else { needs.get(&id).and_then(|all| all.get(next)).cloned() };
            let Some(need) = wanted else {
                done.insert(id);
                path.pop();
                continue;
            };
            if let Some(first) = path.iter().position(|(on_path, _)| *on_path == need) {
                let mut circle: Vec<&str> = path[first..].iter().map(|(on_path, _)| on_path.as_str()).collect();
                circle.push(&need);
                problems.push(Problem {
                    message: format!("`needs` goes in a circle: {}", circle.join(" -> ")),
                    help: "take one of them out of `needs`: what is needed is applied first".to_owned(),
                    id: id.clone(),
                });
                // The next need slides into the place of the one that is taken out.
                if let Some(all) = needs.get_mut(&id) {
                    all.retain(|other| *other != need);
                }
            } else {
                path.last_mut().into_iter().for_each(|(_, next)| *next += 1);
                path.push((need, 0));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn needs(edges: &[(&str, &[&str])]) -> (Needs, BTreeSet<String>) {
        let needs: Needs =
            edges.iter().map(|(id, to)| ((*id).to_owned(), to.iter().map(ToString::to_string).collect())).collect();
        let known = needs.keys().cloned().collect();
        (needs, known)
    }

    #[test]
    fn a_need_that_names_no_example_is_told_with_what_may_be_meant() {
        let (mut graph, known) = needs(&[("a/job.yaml", &["a/ectd.yaml", "zzz"]), ("a/etcd.yaml", &[])]);
        let problems = resolve(&mut graph, &known);
        assert_eq!(problems.len(), 2);
        assert_eq!((problems[0].id.as_str(), problems[0].help.as_str()), ("a/job.yaml", "did you mean `a/etcd.yaml`?"));
        assert!(problems[1].help.contains("path from the root"));
        assert!(graph["a/job.yaml"].is_empty());
    }

    #[test]
    fn circles_are_told_and_opened() {
        let (mut graph, known) = needs(&[("a", &["b", "d"]), ("b", &["c"]), ("c", &["a"]), ("d", &[]), ("e", &["e"])]);
        let problems = resolve(&mut graph, &known);
        let told: Vec<_> = problems.iter().map(|problem| (problem.id.as_str(), problem.message.as_str())).collect();
        assert_eq!(
            told,
            [("c", "`needs` goes in a circle: a -> b -> c -> a"), ("e", "`needs` goes in a circle: e -> e")]
        );
        assert_eq!(graph["a"], ["b", "d"]);
        assert!(graph["c"].is_empty() && graph["e"].is_empty());
    }

    #[test]
    fn an_example_is_not_told_to_need_itself() {
        let (mut graph, known) = needs(&[("a/job1.yaml", &["a/job2.yaml"])]);
        let problems = resolve(&mut graph, &known);
        assert!(!problems[0].help.contains("did you mean"), "{}", problems[0].help);
    }

    #[test]
    fn a_closure_holds_what_is_needed_indirectly() {
        let (graph, _) = needs(&[("a", &["b"]), ("b", &["c"]), ("c", &[]), ("d", &[])]);
        assert_eq!(closure(&graph, ["a".to_owned()]), ["a", "b", "c"].map(str::to_owned).into());
    }

    proptest! {
        #[test]
        fn after_all_no_circle_is_left(edges in proptest::collection::vec((0u8..8, 0u8..8), 0..24)) {
            let mut graph: Needs = (0u8..8).map(|id| (id.to_string(), Vec::new())).collect();
            for (from, to) in edges {
                graph.get_mut(&from.to_string()).unwrap().push(to.to_string());
            }
            let known = graph.keys().cloned().collect();
            resolve(&mut graph, &known);
            // Taking away what needs nothing must end in nothing.
            while let Some(leaf) = graph.iter().find(|(_, all)| all.is_empty()).map(|(id, _)| id.clone()) {
                graph.remove(&leaf);
                for all in graph.values_mut() {
                    all.retain(|id| *id != leaf);
                }
            }
            prop_assert!(graph.is_empty());
        }
    }
}
