//! Requests about objects of any kind, as JSON.

use kube::Client;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use kube::core::Request;
use kube::{Error, Resource};
use serde_json::Value as Json;

/// The name under which our fields are known to the API server.
pub const FIELD_MANAGER: &str = "example-validator";

/// The objects of one kind, of one namespace or of the whole cluster.
#[derive(Clone)]
pub struct Objects {
    client: Client,
    path: String,
}

impl Objects {
    /// The objects of a kind in `namespace`; `None` for those of the whole cluster, or of all namespaces.
    #[must_use]
    pub fn new(client: &Client, resource: &ApiResource, namespace: Option<&str>) -> Self {
        Self { client: client.clone(), path: DynamicObject::url_path(resource, namespace) }
    }

    /// The objects of a kind of the core group: `core(client, "pods", Some("default"))`.
    #[must_use]
    pub fn core(client: &Client, plural: &str, namespace: Option<&str>) -> Self {
        let path =
            namespace.map_or_else(|| format!("/api/v1/{plural}"), |name| format!("/api/v1/namespaces/{name}/{plural}"));
        Self { client: client.clone(), path }
    }

    /// Reads one.
    pub async fn get(&self, name: &str) -> Result<Json, Error> {
        let request = self.request().get(name, &GetParams::default()).map_err(Error::BuildRequest)?;
        self.client.request(request).await
    }

    /// Reads all that the selector means, page by page.
    pub async fn list(&self, selector: &ListParams) -> Result<Vec<Json>, Error> {
        let mut params = selector.clone().limit(500);
        let mut items = Vec::new();
        loop {
            let request = self.request().list(&params).map_err(Error::BuildRequest)?;
            let mut page: Json = self.client.request(request).await?;
            if let Some(Json::Array(found)) = page.get_mut("items").map(Json::take) {
                items.extend(found);
            }
            match page.pointer("/metadata/continue").and_then(Json::as_str) {
                Some(next) if !next.is_empty() => params = params.continue_token(next),
                _ => return Ok(items),
            }
        }
    }

    /// Creates one by POST, strictly.
    pub async fn create(&self, object: &Json) -> Result<Json, Error> {
        self.post(object, false).await
    }

    /// Says what would come of creating one; nothing is kept.
    pub async fn dry_run(&self, object: &Json) -> Result<Json, Error> {
        self.post(object, true).await
    }

    async fn post(&self, object: &Json, dry_run: bool) -> Result<Json, Error> {
        let body = serde_json::to_vec(object).map_err(Error::SerdeError)?;
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run };
        let mut request = self.request().create(&params, body).map_err(Error::BuildRequest)?;
        // kube's parameters of a POST have no place for it.
        let uri = format!("{}&fieldValidation=Strict", request.uri());
        *request.uri_mut() = uri.parse().map_err(|error| Error::Service(Box::new(error)))?;
        self.client.request(request).await
    }

    /// Server-side apply, strictly, as `manager`. Forced: a conflict with another manager's field is won.
    pub async fn apply(&self, name: &str, object: &Json, manager: &str) -> Result<Json, Error> {
        let params = PatchParams::apply(manager).force().validation_strict();
        let request = self.request().patch(name, &params, &Patch::Apply(object)).map_err(Error::BuildRequest)?;
        self.client.request(request).await
    }

    /// A JSON merge patch.
    pub async fn merge(&self, name: &str, patch: &Json) -> Result<Json, Error> {
        let request = self.request().patch(name, &PatchParams::default(), &Patch::Merge(patch));
        self.client.request(request.map_err(Error::BuildRequest)?).await
    }

    /// Deletes one in the background; with a UID, only if it still is that one.
    pub async fn delete(&self, name: &str, uid: Option<&str>) -> Result<Json, Error> {
        let mut params = DeleteParams::background();
        if let Some(uid) = uid {
            params = params.preconditions(Preconditions { uid: Some(uid.to_owned()), ..Preconditions::default() });
        }
        let request = self.request().delete(name, &params).map_err(Error::BuildRequest)?;
        self.client.request(request).await
    }

    /// Deletes all, each with this many seconds to end.
    pub async fn delete_all(&self, grace: u32) -> Result<Json, Error> {
        let params = DeleteParams::background().grace_period(grace);
        let request = self.request().delete_collection(&params, &ListParams::default()).map_err(Error::BuildRequest)?;
        self.client.request(request).await
    }

    /// Takes a namespace's own finalizers away.
    pub async fn finalize(&self, namespace: &Json) -> Result<Json, Error> {
        let name = text(namespace, "/metadata/name");
        let body = serde_json::to_vec(namespace).map_err(Error::SerdeError)?;
        let request = self.request().replace_subresource("finalize", name, &PostParams::default(), body);
        self.client.request(request.map_err(Error::BuildRequest)?).await
    }

    fn request(&self) -> Request {
        Request::new(self.path.clone())
    }
}

/// The text at a JSON pointer; empty if there is none.
#[must_use]
pub fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}
