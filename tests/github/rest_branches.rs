//! The branches of the strict GitHub: files at their root, read and written by the git database. A branch is moved to a commit whose parent is
//! its head, and to no other.

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
    parent: Option<String>,
    tree: Tree,
}

impl Commit {
    fn new(message: &str, parent: Option<String>, tree: Tree) -> Self {
        Self { message: message.to_owned(), has_parent: parent.is_some(), parent, tree }
    }

    fn id(&self) -> String {
        sha(&format!("{self:?}"))
    }
}

/// All branches, and what was made for them.
#[derive(Debug, Default)]
pub struct Branches {
    /// The commits of each, the oldest first.
    pub named: BTreeMap<String, Vec<Commit>>,
    /// By their ids.
    trees: BTreeMap<String, Tree>,
    commits: BTreeMap<String, Commit>,
    blobs: BTreeMap<String, String>,
    /// What happens before each of the next requests that write to a branch.
    pub meanwhile: VecDeque<Meanwhile>,
    /// The token may not even read: nothing is there for it.
    pub unreadable: bool,
    /// The token may not write.
    pub read_only: bool,
    /// A rule of the repository keeps everybody from writing, and from making branches.
    pub protected: bool,
    /// The largest blob that it takes, in bytes.
    pub largest: Option<usize>,
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

    /// The id of a branch's head; empty without one.
    pub fn head(&self, branch: &str) -> String {
        self.named.get(branch).and_then(|commits| commits.last()).map(Commit::id).unwrap_or_default()
    }

    /// Writes a file without being asked by anybody.
    pub fn write(&mut self, branch: &str, file: &str, text: String, message: &str) {
        let mut tree = self.tree(branch).cloned().unwrap_or_default();
        tree.insert(file.to_owned(), text);
        let commits = self.named.entry(branch.to_owned()).or_default();
        commits.push(Commit::new(message, commits.last().map(Commit::id), tree));
    }

    fn tree(&self, branch: &str) -> Option<&Tree> {
        Some(&self.named.get(branch)?.last()?.tree)
    }

    /// What a request of branches or the git database comes to; `None` if it is neither.
    pub fn carry_out(&mut self, seen: &Seen) -> Option<(StatusCode, Value)> {
        let path = seen.path.strip_prefix(&format!("/repos/{REPOSITORY}"))?;
        if path != "/branches" && !path.starts_with("/git/") {
            return None;
        }
        if self.unreadable {
            return Some(refusal(404, "Not Found"));
        }
        if seen.method == "GET" {
            return self.get(path);
        }
        if self.read_only {
            return Some(refusal(403, "Resource not accessible by integration"));
        }
        let body = seen.body.as_ref().unwrap();
        match (seen.method.as_str(), path) {
            ("POST", "/git/blobs") => Some(self.make_blob(body)),
            ("POST", "/git/trees") => Some(self.make_tree(body)),
            ("POST", "/git/commits") => Some(self.make_commit(body)),
            ("POST", "/git/refs") => Some(self.make_branch(body)),
            ("PATCH", path) => Some(self.move_branch(path.strip_prefix("/git/refs/heads/")?, body)),
            _ => None,
        }
    }

    fn get(&self, path: &str) -> Option<(StatusCode, Value)> {
        if path == "/branches" {
            return Some((StatusCode::OK, self.named.keys().map(|name| json!({"name": name})).collect()));
        }
        let (kind, id) = path.strip_prefix("/git/")?.split_once('/')?;
        let answer = match kind {
            "ref" => {
                self.named.get(id.strip_prefix("heads/")?).and_then(|commits| commits.last()).map(
                    |commit| json!({"ref": format!("refs/{id}"), "object": {"type": "commit", "sha": commit.id()}}),
                )
            }
            "commits" => self
                .all()
                .find(|commit| commit.id() == id)
                .map(|commit| json!({"sha": id, "tree": {"sha": tree_id(&commit.tree)}})),
            "trees" => {
                let tree = self.all().map(|commit| &commit.tree).find(|tree| tree_id(tree) == id);
                tree.map(|tree| json!({"sha": id, "tree": self.entries(tree), "truncated": false}))
            }
            "blobs" => {
                self.all().flat_map(|commit| commit.tree.values()).find(|text| sha(text) == id).map(|text| json!(text))
            }
            _ => return None,
        };
        Some(answer.map_or_else(|| refusal(404, "Not Found"), |answer| (StatusCode::OK, answer)))
    }

    fn all(&self) -> impl Iterator<Item = &Commit> {
        self.named.values().flatten()
    }

    fn entries(&self, tree: &Tree) -> Value {
        let entry = |(path, text): (&String, &String)| json!({"type": "blob", "mode": "100644", "path": path, "sha": sha(text), "size": self.pretended_size.unwrap_or(text.len() as u64)});
        tree.iter().map(entry).collect()
    }

    fn make_blob(&mut self, body: &Value) -> (StatusCode, Value) {
        assert_eq!(body["encoding"], "base64");
        let text = String::from_utf8(STANDARD.decode(body["content"].as_str().unwrap()).unwrap()).unwrap();
        if self.largest.is_some_and(|largest| text.len() > largest) {
            return refusal(422, "Sorry, your input was too large to be processed.");
        }
        let id = sha(&text);
        self.blobs.insert(id.clone(), text);
        (StatusCode::CREATED, json!({"sha": id}))
    }

    fn make_tree(&mut self, body: &Value) -> (StatusCode, Value) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut tree = match body["base_tree"].as_str() {
            Some(base) => match self.all().find(|commit| tree_id(&commit.tree) == base) {
                Some(commit) => commit.tree.clone(),
                None => return refusal(422, "base_tree is not a valid tree oid"),
            },
            None => Tree::new(),
        };
        for entry in body["tree"].as_array().unwrap() {
            let content = match entry["sha"].as_str() {
                Some(blob) => self.blobs[blob].clone(),
                None => text(&entry["content"]),
            };
            tree.insert(text(&entry["path"]), content);
        }
        let id = tree_id(&tree);
        self.trees.insert(id.clone(), tree);
        (StatusCode::CREATED, json!({"sha": id}))
    }

    fn make_commit(&mut self, body: &Value) -> (StatusCode, Value) {
        let Some(tree) = self.trees.get(body["tree"].as_str().unwrap()).cloned() else {
            return refusal(422, "Tree SHA does not exist");
        };
        let parent = body["parents"][0].as_str().map(str::to_owned);
        let commit = Commit::new(body["message"].as_str().unwrap(), parent, tree);
        let id = commit.id();
        self.commits.insert(id.clone(), commit);
        (StatusCode::CREATED, json!({"sha": id}))
    }

    fn make_branch(&mut self, body: &Value) -> (StatusCode, Value) {
        self.happens();
        let name = body["ref"].as_str().unwrap().strip_prefix("refs/heads/").unwrap();
        if self.protected {
            return refusal(
                422,
                "Repository rule violations found: Cannot create ref due to creations being restricted.",
            );
        }
        if self.named.contains_key(name) {
            return refusal(422, "Reference already exists");
        }
        let Some(commit) = self.commits.get(body["sha"].as_str().unwrap()).cloned() else {
            return refusal(422, "Object does not exist");
        };
        self.named.insert(name.to_owned(), vec![commit]);
        (StatusCode::CREATED, json!({"ref": body["ref"]}))
    }

    /// Moves a branch forward: what it is moved to must come after its head, whatever files either is of.
    fn move_branch(&mut self, name: &str, body: &Value) -> (StatusCode, Value) {
        self.happens();
        assert_eq!(body["force"], false, "what another wrote would be lost");
        if self.protected {
            return refusal(422, "Repository rule violations found: Changes must be made through a pull request.");
        }
        let Some(commit) = self.commits.get(body["sha"].as_str().unwrap()).cloned() else {
            return refusal(422, "Object does not exist");
        };
        let Some(commits) = self.named.get_mut(name) else { return refusal(422, "Reference does not exist") };
        let head = commits.last().map(Commit::id);
        if head.as_deref() != body["sha"].as_str() {
            if commit.parent != head {
                return refusal(422, "Update is not a fast forward");
            }
            commits.push(commit);
        }
        (StatusCode::OK, json!({"ref": format!("refs/heads/{name}"), "object": {"sha": body["sha"]}}))
    }

    fn happens(&mut self) {
        match self.meanwhile.pop_front() {
            Some(Meanwhile::Writes(branch, file, text)) => self.write(branch, file, text, "another's"),
            Some(Meanwhile::Deletes(branch)) => drop(self.named.remove(branch)),
            None => {}
        }
    }
}

fn tree_id(tree: &Tree) -> String {
    sha(&format!("tree {tree:?}"))
}
