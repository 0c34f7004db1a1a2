//! From a pod to the example's object that it belongs to.

use serde_json::Value as Json;

/// Most links of a chain.
const LONGEST: usize = 8;

/// The chain of controllers from an object (a pod) up, in one line: `Pod/x-0 of Job/x of TrainJob/y`. An owner is looked up
/// by its uid among `objects`; one that is not there is named by the reference, and ends the chain.
#[must_use]
pub fn owner_chain<'a, I>(object: &Json, objects: I) -> String
where
    I: IntoIterator<Item = &'a Json>,
    I::IntoIter: Clone,
{
    let objects = objects.into_iter();
    let mut chain = vec![name(object.pointer("/kind"), object.pointer("/metadata/name"))];
    let mut next = owner(object);
    while let Some(reference) = next.filter(|_| chain.len() < LONGEST) {
        chain.push(name(reference.get("kind"), reference.get("name")));
        let uid = reference.get("uid");
        let is_meant = |object: &&Json| uid.is_some() && object.pointer("/metadata/uid") == uid;
        next = objects.clone().find(is_meant).and_then(owner);
    }
    chain.join(" of ")
}

/// The reference to the owner that controls an object, else to its first one.
fn owner(object: &Json) -> Option<&Json> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    owners.iter().find(|owner| owner.get("controller") == Some(&Json::Bool(true))).or_else(|| owners.first())
}

/// `Kind/name`. Objects of a list have no kind of their own; only pods are looked at that way.
fn name(kind: Option<&Json>, name: Option<&Json>) -> String {
    let text = |value: Option<&Json>, default: &str| value.and_then(Json::as_str).unwrap_or(default).to_owned();
    format!("{}/{}", text(kind, "Pod"), text(name, "?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: &str, name: &str, owner: Option<(&str, &str)>) -> Json {
        let owners: Vec<_> = owner
            .iter()
            .map(|(kind, name)| json!({"kind": kind, "name": name, "uid": format!("uid-{name}"), "controller": true}))
            .collect();
        json!({"kind": kind, "metadata": {"name": name, "uid": format!("uid-{name}"), "ownerReferences": owners}})
    }

    #[test]
    fn the_chain_leads_from_the_pod_to_the_example() {
        let pod = object("Pod", "t-node-0-0", Some(("Job", "t-node-0")));
        let objects = [
            object("TrainJob", "t", None),
            object("JobSet", "set", Some(("TrainJob", "t"))),
            object("Job", "t-node-0", Some(("JobSet", "set"))),
        ];
        assert_eq!(owner_chain(&pod, &objects), "Pod/t-node-0-0 of Job/t-node-0 of JobSet/set of TrainJob/t");
        assert_eq!(owner_chain(&pod, &[]), "Pod/t-node-0-0 of Job/t-node-0");
        assert_eq!(owner_chain(&objects[0], &objects), "TrainJob/t");
    }

    #[test]
    fn owners_in_a_circle_come_to_an_end() {
        let one = object("A", "one", Some(("B", "two")));
        let two = object("B", "two", Some(("A", "one")));
        assert_eq!(owner_chain(&one, [&one, &two]).matches(" of ").count(), LONGEST - 1);
        assert_eq!(owner_chain(&json!({}), []), "Pod/?");
    }
}
