//! What a container needs from ConfigMaps and Secrets: its environment and its files, or what is missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::object::{is_true, list, name, namespace, text, uid};
use super::shell::Surroundings;
use crate::simulator::store::{Key, Store};

/// A kind of object that holds data, by the field that names it.
struct Holder {
    plural: &'static str,
    /// As messages of the kubelet name it.
    lower: &'static str,
    /// As they name it together with a key.
    upper: &'static str,
}

const CONFIG_MAP: Holder = Holder { plural: "configmaps", lower: "configmap", upper: "ConfigMap" };
const SECRET: Holder = Holder { plural: "secrets", lower: "secret", upper: "Secret" };

/// What a container is started with.
///
/// # Errors
/// What is missing, in the kubelet's words: the container waits with `CreateContainerConfigError`.
pub fn surroundings(store: &Store, pod: &Json, container: &Json) -> Result<Surroundings, String> {
    let mut variables = BTreeMap::from([
        ("HOSTNAME".to_owned(), name(pod).to_owned()),
        ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("HOME".to_owned(), "/root".to_owned()),
    ]);
    for source in list(container, "/envFrom") {
        for (field, holder) in [("configMapRef", CONFIG_MAP), ("secretRef", SECRET)] {
            let Some(reference) = source.get(field) else { continue };
            let found = find(store, pod, &holder, text(reference, "/name"));
            match found {
                Some(object) => {
                    let prefix = text(source, "/prefix");
                    variables.extend(data(&object).into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)));
                }
                None if is_true(reference, "/optional") => {}
                None => return Err(format!("{} \"{}\" not found", holder.lower, text(reference, "/name"))),
            }
        }
    }
    for variable in list(container, "/env") {
        let value = match variable.get("valueFrom") {
            Some(source) => from(store, pod, source)?,
            None => Some(expand(text(variable, "/value"), &variables)),
        };
        if let Some(value) = value {
            variables.insert(text(variable, "/name").to_owned(), value);
        }
    }
    Ok(Surroundings { files: files(store, pod, container), variables, serves: false })
}

/// `$(NAME)` replaced by a variable's value, `$$` by `$`; what is not known stays.
#[must_use]
pub fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let known = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        if let Some((value, tail)) = known.and_then(|(name, tail)| Some((variables.get(name)?, tail))) {
            expanded.push_str(value);
            rest = tail;
            continue;
        }
        expanded.push('$');
        rest = after.strip_prefix('$').unwrap_or(after);
        // `$$(X)` is `$(X)` as it stands; a plain `$$` is left to the shell.
        if after.starts_with('$') && !after.starts_with("$(") {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    expanded
}

fn from(store: &Store, pod: &Json, source: &Json) -> Result<Option<String>, String> {
    if let Some(field) = source.get("fieldRef") {
        return Ok(Some(field_of(pod, text(field, "/fieldPath"))));
    }
    for (field, holder) in [("configMapKeyRef", CONFIG_MAP), ("secretKeyRef", SECRET)] {
        let Some(reference) = source.get(field) else { continue };
        let (object, key) = (text(reference, "/name"), text(reference, "/key"));
        let optional = is_true(reference, "/optional");
        let Some(found) = find(store, pod, &holder, object) else {
            return if optional { Ok(None) } else { Err(format!("{} \"{object}\" not found", holder.lower)) };
        };
        return match data(&found).remove(key) {
            Some(value) => Ok(Some(value)),
            None if optional => Ok(None),
            None => Err(format!("couldn't find key {key} in {} {}/{object}", holder.upper, namespace(pod))),
        };
    }
    Ok(Some(String::new()))
}

/// What the downward API says for a field path.
fn field_of(pod: &Json, path: &str) -> String {
    let keyed = path.strip_suffix("']").and_then(|path| path.split_once("['"));
    match keyed {
        Some((place, key)) => {
            let map = pod.pointer(&format!("/{}", place.replace('.', "/")));
            map.and_then(|map| map.get(key)).and_then(Json::as_str).unwrap_or_default().to_owned()
        }
        None => text(pod, &format!("/{}", path.replace('.', "/"))).to_owned(),
    }
}

fn find(store: &Store, pod: &Json, holder: &Holder, object: &str) -> Option<Arc<Json>> {
    store.get(&Key::namespaced("", holder.plural, namespace(pod), object))
}

/// The texts that a ConfigMap or a Secret holds. A Secret's are left in base64: nobody here reads them.
fn data(object: &Json) -> BTreeMap<String, String> {
    let texts = ["data", "stringData"].into_iter().filter_map(|field| object.get(field)?.as_object()).flatten();
    texts.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// A pod's volumes that are made of a ConfigMap or a Secret: volume, holder, name, optional, keys.
fn sources(pod: &Json) -> impl Iterator<Item = (&Json, Holder, &str, bool, &[Json])> {
    list(pod, "/spec/volumes").iter().flat_map(|volume| {
        let direct = [("configMap", "/name", CONFIG_MAP), ("secret", "/secretName", SECRET)];
        direct.into_iter().filter_map(move |(field, place, holder)| {
            let source = volume.get(field)?;
            Some((volume, holder, text(source, place), is_true(source, "/optional"), list(source, "/items")))
        })
    })
}

/// Why a pod's volumes can't be mounted, in the kubelet's words; `None` if they can.
#[must_use]
pub fn missing_volume(store: &Store, pod: &Json) -> Option<String> {
    sources(pod).find_map(|(volume, holder, object, optional, items)| {
        let volume = text(volume, "/name");
        let why = match find(store, pod, &holder, object) {
            _ if optional => return None,
            None => format!("{} \"{object}\" not found", holder.lower),
            Some(found) => {
                let known = data(&found);
                let item = items.iter().find(|item| !known.contains_key(text(item, "/key")))?;
                let what = if holder.lower == "secret" {
                    "references non-existent secret"
                } else {
                    "configmap references non-existent config"
                };
                format!("{what} key: {}", text(item, "/key"))
            }
        };
        Some(format!("MountVolume.SetUp failed for volume \"{volume}\" : {why}"))
    })
}

/// The files that a container finds in its mounts.
fn files(store: &Store, pod: &Json, container: &Json) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for mount in list(container, "/volumeMounts") {
        let folder = text(mount, "/mountPath").trim_end_matches('/');
        for (volume, holder, object, _, items) in sources(pod) {
            if text(volume, "/name") != text(mount, "/name") {
                continue;
            }
            let known = find(store, pod, &holder, object).map(|found| data(&found)).unwrap_or_default();
            for (key, value) in known {
                let item = items.iter().find(|item| text(item, "/key") == key);
                let path = item.map_or(key.as_str(), |item| text(item, "/path"));
                let name = match text(mount, "/subPath") {
                    "" => format!("{folder}/{path}"),
                    sub if sub == path => folder.to_owned(),
                    _ => continue,
                };
                files.insert(name, value);
            }
        }
    }
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    files.insert(format!("{account}/namespace"), namespace(pod).to_owned());
    files.insert(format!("{account}/token"), format!("simulated-{}", uid(pod)));
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn world() -> Store {
        let store = Store::new();
        for object in [
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": {"a": "1"}}),
        ] {
            store.create(object).unwrap();
        }
        store
    }

    fn pod(container: &Json, volumes: &Json) -> Json {
        json!({"metadata": {"name": "p", "namespace": "n", "labels": {"x/y": "z"}},
            "spec": {"containers": [container], "volumes": volumes}})
    }

    #[test]
    fn an_environment_is_put_together_from_its_sources() {
        let container = json!({"env": [
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "a"}}},
            {"name": "B", "value": "$(A)$(NOPE)$$"},
            {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['x/y']"}}},
            {"name": "O", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": true}}}]});
        let found = surroundings(&world(), &pod(&container, &json!([])), &container).unwrap().variables;
        assert_eq!((found["A"].as_str(), found["B"].as_str(), found["L"].as_str()), ("1", "1$(NOPE)$$", "z"));
        assert!(!found.contains_key("O"));
    }

    #[test]
    fn what_is_missing_is_named_as_the_kubelet_names_it() {
        for (source, why) in [
            (json!({"configMapKeyRef": {"name": "nope", "key": "a"}}), "configmap \"nope\" not found"),
            (json!({"configMapKeyRef": {"name": "c", "key": "b"}}), "couldn't find key b in ConfigMap n/c"),
            (json!({"secretKeyRef": {"name": "nope", "key": "a"}}), "secret \"nope\" not found"),
        ] {
            let container = json!({"env": [{"name": "A", "valueFrom": source}]});
            assert_eq!(surroundings(&world(), &pod(&container, &json!([])), &container).unwrap_err(), why);
        }
        let volumes = json!([{"name": "v", "configMap": {"name": "nope"}}]);
        let why = missing_volume(&world(), &pod(&json!({}), &volumes)).unwrap();
        assert_eq!(why, "MountVolume.SetUp failed for volume \"v\" : configmap \"nope\" not found");
    }

    #[test]
    fn mounted_config_maps_are_files() {
        let container = json!({"volumeMounts": [{"name": "v", "mountPath": "/etc/x"}]});
        let volumes = json!([{"name": "v", "configMap": {"name": "c"}}]);
        let found = surroundings(&world(), &pod(&container, &volumes), &container).unwrap();
        assert_eq!(found.files["/etc/x/a"], "1");
    }
}
