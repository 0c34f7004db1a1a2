//! Which kinds a cluster serves, asked once a group and version however many cells want to know.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIResource, APIResourceList};
use kube::Client;
use kube::api::ApiResource;
use tokio::time::Instant;

use crate::catalog::Object;
use crate::trial::isolate::Scopes;

/// How long "that kind is not served" is believed: CRDs may be installed at any time, and many cells may ask at once.
const ABSENT_FOR: Duration = Duration::from_secs(1);

/// A kind as a cluster serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Where its objects are: group, version, kind and plural.
    pub resource: ApiResource,
    /// Whether they live in namespaces.
    pub namespaced: bool,
    /// What can be done with them: `create`, `list`, `patch`, ...
    pub verbs: Vec<String>,
}

impl Served {
    /// Whether a verb is served.
    #[must_use]
    pub fn allows(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }
}

/// What a look-up says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The kind is served.
    Found(Served),
    /// It is not; these versions of its group are, which may have it.
    Absent {
        /// `["v1", "v1beta1"]`; empty if the group is not served at all.
        versions: Vec<String>,
    },
}

/// The kinds of one group and version, once they were asked for.
#[derive(Default)]
struct Group {
    kinds: HashMap<String, Served>,
    asked: Option<Instant>,
    /// The versions of the API group that are served, once a kind was not there.
    versions: Option<Vec<String>>,
}

/// A cache of what a cluster serves. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Discovery {
    client: Client,
    groups: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<Group>>>>>,
}

impl Discovery {
    /// An empty cache of the cluster behind `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, groups: Arc::default() }
    }

    /// Looks a kind up; `api_version` is `apps/v1`, or `v1` for the core group. One request the first time that a group and
    /// version is asked for, and one again, at most every second, while a kind is not there.
    ///
    /// # Errors
    /// The API server could not be asked.
    pub async fn find(&self, api_version: &str, kind: &str) -> Result<Lookup, kube::Error> {
        let group = self.group(api_version);
        let mut group = group.lock().await;
        let fresh = group.asked.is_some_and(|asked| asked.elapsed() < ABSENT_FOR);
        if !group.kinds.contains_key(kind) && !fresh {
            let kinds = resources(&self.client, api_version).await?;
            *group = Group { kinds, asked: Some(Instant::now()), versions: None };
        }
        if let Some(served) = group.kinds.get(kind) {
            return Ok(Lookup::Found(served.clone()));
        }
        if group.versions.is_none() {
            group.versions = Some(self.versions(api_version).await?);
        }
        Ok(Lookup::Absent { versions: group.versions.clone().unwrap_or_default() })
    }

    /// Forgets when an absent kind was last asked for, so that the next look-up asks again: after a CRD was installed.
    pub async fn expect(&self, api_version: &str) {
        self.group(api_version).lock().await.asked = None;
    }

    /// Whether each of these objects' kinds lives in namespaces, as far as the cluster serves them.
    ///
    /// # Errors
    /// The API server could not be asked.
    pub async fn scopes(&self, objects: impl Iterator<Item = &Object>) -> Result<Scopes, kube::Error> {
        let mut scopes = Scopes::default();
        for object in objects {
            if scopes.namespaced(object).is_some() {
                continue;
            }
            if let Lookup::Found(served) = self.find(&object.api_version, &object.kind).await? {
                scopes.insert(&object.api_version, &object.kind, served.namespaced);
            }
        }
        Ok(scopes)
    }

    /// Every kind whose objects can be listed, in the version that each group prefers; groups that don't answer (an
    /// aggregated API server that is down) are left out.
    ///
    /// # Errors
    /// The list of groups could not be had.
    pub async fn listable(&self) -> Result<Vec<Served>, kube::Error> {
        let groups = self.client.list_api_groups().await?.groups;
        let preferred = groups.into_iter().filter_map(|group| {
            let first = group.versions.into_iter().next();
            group.preferred_version.or(first).map(|version| version.group_version)
        });
        let all: Vec<_> = std::iter::once("v1".to_owned()).chain(preferred).collect();
        let found = join_all(all.iter().map(|api_version| resources(&self.client, api_version))).await;
        let kinds = found.into_iter().flatten().flat_map(HashMap::into_values);
        Ok(kinds.filter(|served| served.allows("list") && served.allows("delete")).collect())
    }

    fn group(&self, api_version: &str) -> Arc<tokio::sync::Mutex<Group>> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(groups.entry(api_version.to_owned()).or_default())
    }

    /// The versions in which the group of `api_version` is served.
    async fn versions(&self, api_version: &str) -> Result<Vec<String>, kube::Error> {
        let Some((name, _)) = api_version.split_once('/') else { return Ok(vec!["v1".to_owned()]) };
        let groups = self.client.list_api_groups().await?.groups;
        let versions = groups.into_iter().filter(|group| group.name == name).flat_map(|group| group.versions);
        Ok(versions.map(|version| version.version).collect())
    }
}

/// The kinds of one group and version by name; none where it is not served.
async fn resources(client: &Client, api_version: &str) -> Result<HashMap<String, Served>, kube::Error> {
    let listed = if api_version.contains('/') {
        client.list_api_group_resources(api_version).await
    } else {
        client.list_core_api_resources(api_version).await
    };
    match listed {
        Ok(list) => Ok(kinds(list, api_version)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(HashMap::new()),
        Err(error) => Err(error),
    }
}

/// The kinds of a resource list, subresources left out. Some API servers repeat group and version in each resource,
/// others leave it to the list.
fn kinds(list: APIResourceList, api_version: &str) -> HashMap<String, Served> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let served = |found: APIResource| {
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: api_version.to_owned(),
            kind: found.kind.clone(),
            plural: found.name,
        };
        (found.kind, Served { resource, namespaced: found.namespaced, verbs: found.verbs })
    };
    list.resources.into_iter().filter(|found| !found.name.contains('/')).map(served).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::trial::apply::tests::client;

    async fn serve(server: &MockServer, at: &str, body: serde_json::Value, times: u64) {
        Mock::given(path(at))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .expect(times)
            .mount(server)
            .await;
    }

    #[tokio::test]
    async fn a_group_is_asked_for_once() {
        let server = MockServer::start().await;
        let list = json!({"kind": "APIResourceList", "groupVersion": "batch/v1", "resources": [
            {"name": "jobs", "singularName": "job", "namespaced": true, "kind": "Job", "verbs": ["list", "patch"]},
            {"name": "jobs/status", "singularName": "", "namespaced": true, "kind": "Job", "verbs": ["get"]}]});
        serve(&server, "/apis/batch/v1", list, 1).await;
        let discovery = Discovery::new(client(&server));
        for _ in 0..3 {
            let Lookup::Found(job) = discovery.find("batch/v1", "Job").await.unwrap() else { panic!("not found") };
            assert!(job.namespaced && job.allows("patch") && !job.allows("get"));
            assert_eq!(job.resource.plural, "jobs");
        }
    }

    #[tokio::test]
    async fn an_absent_kind_names_the_versions_that_are_served() {
        let server = MockServer::start().await;
        let groups = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": "kubeflow.org",
            "versions": [{"groupVersion": "kubeflow.org/v1", "version": "v1"}]}]});
        serve(&server, "/apis", groups, 1).await;
        let discovery = Discovery::new(client(&server));
        for _ in 0..2 {
            let found = discovery.find("kubeflow.org/v2beta1", "MPIJob").await.unwrap();
            assert_eq!(found, Lookup::Absent { versions: vec!["v1".to_owned()] });
        }
        let asked = server.received_requests().await.unwrap();
        assert_eq!(asked.iter().filter(|request| request.url.path() == "/apis/kubeflow.org/v2beta1").count(), 1);
    }
}
