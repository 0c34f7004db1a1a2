use super::*;
use proptest::prelude::*;

fn applier(manager: &str, force: bool) -> Applier<'_> {
    Applier { manager, force, api_version: "v1", shape: Shape::BuiltIn }
}

fn container(name: &str, image: &str) -> Json {
    json!({"spec": {"containers": [{"name": name, "image": image}]}})
}

#[test]
fn what_a_manager_no_longer_applies_goes() {
    let mut live =
        begin(&json!({"data": {"a": "1", "b": "2"}, "metadata": {"labels": {"x": "y"}}}), applier("me", false));
    apply(&mut live, &json!({"data": {"a": "1"}}), applier("me", false)).unwrap();
    assert_eq!(live["data"], json!({"a": "1"}));
    assert_eq!(live["metadata"].get("labels"), None);
}

#[test]
fn what_another_manager_applies_too_stays() {
    let mut live = begin(&json!({"data": {"a": "1", "b": "2"}}), applier("me", false));
    apply(&mut live, &json!({"data": {"b": "2"}}), applier("other", false)).unwrap();
    apply(&mut live, &json!({"data": {"a": "1"}}), applier("me", false)).unwrap();
    assert_eq!(live["data"], json!({"a": "1", "b": "2"}));
}

#[test]
fn a_field_of_another_manager_is_a_conflict_unless_it_is_forced() {
    let mut live = begin(&container("a", "x"), applier("me", false));
    let before = live.clone();
    let refused = apply(&mut live, &container("a", "y"), applier("other", false)).unwrap_err();
    assert_eq!((refused.code, refused.reason), (409, "Conflict"));
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"me\": .spec.containers[name=\"a\"].image"
    );
    assert_eq!(live, before);
    apply(&mut live, &container("a", "y"), applier("other", true)).unwrap();
    assert_eq!(live["spec"]["containers"][0]["image"], "y");
    // The field is the other's now.
    assert!(apply(&mut live, &container("a", "z"), applier("me", false)).is_err());
}

#[test]
fn lists_are_merged_by_their_keys() {
    let mut live = begin(&container("a", "x"), applier("me", false));
    apply(&mut live, &container("b", "y"), applier("other", false)).unwrap();
    let names: Vec<_> = live["spec"]["containers"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["a", "b"]);
    apply(&mut live, &json!({"metadata": {"labels": {"l": "1"}}}), applier("other", false)).unwrap();
    assert_eq!(live["spec"], container("a", "x")["spec"]);
}

#[test]
fn who_changes_a_field_owns_it() {
    let mut live = begin(&json!({"spec": {"replicas": 1, "paused": true}}), applier("me", false));
    let mut scaled = live.clone();
    scaled["spec"]["replicas"] = 3.into();
    track(&live, &mut scaled, "kubectl-scale", "apps/v1", Shape::BuiltIn);
    live = scaled;
    let again = json!({"spec": {"replicas": 1, "paused": true}});
    let refused = apply(&mut live, &again, applier("me", false)).unwrap_err();
    assert!(refused.message.ends_with("conflict with \"kubectl-scale\" using apps/v1: .spec.replicas"), "{refused}");
}

fn any_object() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Json::from),
        (0..5i64).prop_map(Json::from),
        "[a-c]{1,2}".prop_map(Json::from)
    ];
    let map = |inner: BoxedStrategy<Json>| prop::collection::btree_map("[a-e]", inner, 1..4).prop_map(|map| json!(map));
    let inner = leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![map(inner.clone().boxed()), prop::collection::vec(inner, 0..3).prop_map(Json::from)]
    });
    map(inner.boxed())
}

proptest! {
    #[test]
    fn applying_again_changes_nothing(object in any_object()) {
        let mut live = begin(&object, applier("me", false));
        let before = live.clone();
        apply(&mut live, &object, applier("me", false)).unwrap();
        prop_assert_eq!(live, before);
    }

    #[test]
    fn a_forced_apply_sets_all_that_it_names(first in any_object(), second in any_object()) {
        let mut live = begin(&first, applier("me", false));
        apply(&mut live, &second, applier("other", true)).unwrap();
        let mut merged = live.clone();
        merge(&mut merged, &second, Shape::BuiltIn, "");
        prop_assert_eq!(&merged, &live);
    }

    #[test]
    fn one_manager_alone_gets_exactly_what_it_applies(first in any_object(), second in any_object()) {
        let mut live = begin(&first, applier("me", false));
        apply(&mut live, &second, applier("me", false)).unwrap();
        live.as_object_mut().unwrap().remove("metadata");
        prop_assert_eq!(live, second);
    }
}
