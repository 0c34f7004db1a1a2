//! The branches of the strict GitHub: files at their root, written by the contents API, and begun by the git database.

use std::collections::{BTreeMap, VecDeque};

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::rest_server::{REPOSITORY, Seen};

/// What is at the root of a commit: the texts of files.
type Tree = BTreeMap<String, String>;

/// What another does between our reading and our writing.
#[derive(Clone, Debug)]
pub enum Meanwhile {
    /// It writes a file, on a branch that it begins if need be.
    Writes(&'static str, &'static str, String),
    /// It deletes a branch.
    Deletes(&'static str),
}

/// A commit: its message, and whether it has a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub message: String,
    pub has_parent: bool,
    tree: Tree,
}

/// All branches, and what was made for them.
#[derive(Debug, Default)]
pub struct Branches {
    /// The commits of each, the oldest first.
    pub named: BTreeMap<String, Vec<Commit>>,
    /// By their ids.
    trees: BTreeMap<String, Tree>,
    commits: BTreeMap<String, Commit>,
    /// What happens before each of the next requests that write to a branch.
    pub meanwhile: VecDeque<Meanwhile>,
    /// The token may not write.
    pub read_only: bool,
    /// A rule of the repository keeps everybody from writing.
    pub protected: bool,
    /// How many bytes the listing says that each file has, if not what it has.
    pub pretended_size: Option<u64>,
}

/// An id that follows from what it is of, as git's does.
fn sha(of: &str) -> String {
    Sha256::digest(of)[..20].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refusal(status: u16, message: &str) -> (StatusCode, Value) {
    (StatusCode::from_u16(status).unwrap(), json!({"message": message, "status": status.to_string()}))
}

impl Branches {
    /// A file of a branch.
    pub fn file(&self, branch: &str, file: &str) -> Option<&str> {
        self.tree(branch)?.get(file).map(String::as_str)
    }

    /// The messages of a branch's commits, the oldest first.
    pub fn messages(&self, branch: &str) -> Vec<&str> {
        self.named.get(branch).into_iter().flatten().map(|commit| commit.message.as_str()).collect()
    }

    /// Writes a file without being asked by anybody.
    pub fn write(&mut self, branch: &str, file: &str, text: String, message: &str) {
        let mut tree = self.tree(branch).cloned().unwrap_or_default();
        tree.insert(file.to_owned(), text);
        let commits = self.named.entry(branch.to_owned()).or_default();
        commits.push(Commit { message: message.to_owned(), has_parent: !commits.is_empty(), tree });
    }

    fn tree(&self, branch: &str) -> Option<&Tree> {
        Some(&self.named.get(branch)?.last()?.tree)
    }

    /// What a request of the contents API or the git database comes to; `None` if it is neither.
    pub fn carry_out(&mut self, seen: &Seen) -> Option<(StatusCode, Value)> {
        let path = seen.path.strip_prefix(&format!("/repos/{REPOSITORY}"))?;
        let body = || seen.body.clone().unwrap();
        match (seen.method.as_str(), path) {
            ("GET", "/contents/") => Some(self.list(seen)),
            ("GET", path) if path.starts_with("/git/blobs/") => Some(self.blob(path.strip_prefix("/git/blobs/")?)),
            ("PUT" | "POST", path) if path.starts_with("/contents/") || path.starts_with("/git/") => {
                if self.read_only {
                    return Some(refusal(403, "Resource not accessible by integration"));
                }
                Some(match path {
                    "/git/trees" => self.make_tree(&body()),
                    "/git/commits" => self.make_commit(&body()),
                    "/git/refs" => self.make_branch(&body()),
                    path => self.put(path.strip_prefix("/contents/")?, &body()),
                })
            }
            _ => None,
        }
    }

    fn list(&self, seen: &Seen) -> (StatusCode, Value) {
        let branch = seen.query.iter().find(|(name, _)| name == "ref").map(|(_, value)| value.as_str()).unwrap();
        let Some(tree) = self.tree(branch) else { return refusal(404, "No commit found for the ref") };
        let entry = |(name, text): (&String, &String)| json!({"type": "file", "name": name, "path": name, "sha": sha(text), "size": self.pretended_size.unwrap_or(text.len() as u64)});
        (StatusCode::OK, tree.iter().map(entry).collect())
    }

    fn blob(&self, id: &str) -> (StatusCode, Value) {
        let mut texts = self.named.values().flatten().flat_map(|commit| commit.tree.values());
        match texts.find(|text| sha(text) == id) {
            Some(text) => (StatusCode::OK, json!(text)),
            None => refusal(404, "Not Found"),
        }
    }

    fn put(&mut self, file: &str, body: &Value) -> (StatusCode, Value) {
        self.happens();
        if self.protected {
            return refusal(409, "Could not update file: Changes must be made through a pull request.");
        }
        let branch = body["branch"].as_str().unwrap();
        let Some(tree) = self.tree(branch) else { return refusal(404, "Branch not found") };
        let there = tree.get(file).map(|text| sha(text));
        match (there, body["sha"].as_str()) {
            (Some(_), None) => return refusal(422, "Invalid request.\n\n\"sha\" wasn't supplied."),
            (there, Some(given)) if there.as_deref() != Some(given) => {
                return refusal(409, &format!("{file} does not match {given}"));
            }
            _ => {}
        }
        let text = String::from_utf8(STANDARD.decode(body["content"].as_str().unwrap()).unwrap()).unwrap();
        let answer =
            json!({"content": {"name": file, "sha": sha(&text)}, "commit": {"sha": sha(&format!("commit {text}"))}});
        self.write(branch, file, text, body["message"].as_str().unwrap());
        (StatusCode::OK, answer)
    }

    fn make_tree(&mut self, body: &Value) -> (StatusCode, Value) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let tree: Tree = body["tree"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (text(&entry["path"]), text(&entry["content"])))
            .collect();
        let id = sha(&format!("tree {tree:?}"));
        self.trees.insert(id.clone(), tree);
        (StatusCode::CREATED, json!({"sha": id}))
    }

    fn make_commit(&mut self, body: &Value) -> (StatusCode, Value) {
        let Some(tree) = self.trees.get(body["tree"].as_str().unwrap()).cloned() else {
            return refusal(422, "Tree SHA does not exist");
        };
        let has_parent = body["parents"].as_array().is_some_and(|parents| !parents.is_empty());
        let commit = Commit { message: body["message"].as_str().unwrap().to_owned(), has_parent, tree };
        let id = sha(&format!("{commit:?}"));
        self.commits.insert(id.clone(), commit);
        (StatusCode::CREATED, json!({"sha": id}))
    }

    fn make_branch(&mut self, body: &Value) -> (StatusCode, Value) {
        self.happens();
        let name = body["ref"].as_str().unwrap().strip_prefix("refs/heads/").unwrap();
        if self.named.contains_key(name) {
            return refusal(422, "Reference already exists");
        }
        let Some(commit) = self.commits.get(body["sha"].as_str().unwrap()).cloned() else {
            return refusal(422, "Object does not exist");
        };
        self.named.insert(name.to_owned(), vec![commit]);
        (StatusCode::CREATED, json!({"ref": body["ref"]}))
    }

    fn happens(&mut self) {
        match self.meanwhile.pop_front() {
            Some(Meanwhile::Writes(branch, file, text)) => self.write(branch, file, text, "another's"),
            Some(Meanwhile::Deletes(branch)) => drop(self.named.remove(branch)),
            None => {}
        }
    }
}
