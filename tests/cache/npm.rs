//! GitHub's own client reads what we save, and we read what it saves, by both versions.

use std::path::Path;

use example_validator::github::cache::policy::{Access, Caps};
use example_validator::github::cache::{FOLDER, version};
use example_validator::image::{Kept, Store};

use super::node;
use super::server::Server;
use super::store::{Run, hit};
use super::{both, bytes, cache_of, token, v1};

const OURS: &str = "ev-image-v2-example-linux-amd64-0001";
const THEIRS: &str = "ev-image-v2-example-linux-amd64-0002";
const BOTH: Access = Access { reads: true, saves: true };

fn variables(server: &Server) -> Vec<(&'static str, String)> {
    let service = if server.is_old {
        vec![("ACTIONS_CACHE_URL", v1::url(server))]
    } else {
        vec![("ACTIONS_CACHE_SERVICE_V2", "true".to_owned()), ("ACTIONS_RESULTS_URL", format!("{}/", server.url))]
    };
    let token = [("ACTIONS_RUNTIME_TOKEN", token()), ("GITHUB_SERVER_URL", "https://github.com".to_owned())];
    [service, token.into()].concat()
}

/// Lets the client restore the one and save the other, in a folder of its own.
async fn client(clients: &Path, workspace: &Path, variables: &[(&'static str, String)]) -> serde_json::Value {
    let (clients, workspace, variables) = (clients.to_owned(), workspace.to_owned(), variables.to_owned());
    let running = tokio::task::spawn_blocking(move || {
        let (home, temp) = (workspace.display().to_string(), workspace.join("temp"));
        std::fs::create_dir_all(&temp).unwrap();
        let temp = temp.display().to_string();
        let mut all = vec![("GITHUB_WORKSPACE", home.as_str()), ("HOME", &home), ("RUNNER_TEMP", &temp)];
        all.extend(variables.iter().map(|(name, value)| (*name, value.as_str())));
        node::run(&clients, "cache.mjs", &[Path::new(OURS), Path::new(THEIRS)], &all)
    });
    let output = running.await.unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_and_we_read_each_other() {
    let Some(clients) = node::clients() else { return };
    for (server, of_this) in both().await {
        let content = bytes(3 << 20);
        let run = Run::new(of_this, BOTH, Caps::default());
        run.put(OURS, &content).await;
        assert_eq!(run.finish().await, Vec::<String>::new());

        // What the workflow has in the folder beside what it restores: another archive, and what is none.
        let workspace = tempfile::tempdir().unwrap();
        let folder = workspace.path().join(FOLDER);
        let by_hand = Store::Folder { path: folder.clone(), is_written: true };
        by_hand.put(THEIRS, &run.archive(b"their image")).await.unwrap();
        std::fs::write(folder.join("other"), "no archive").unwrap();
        let said = client(&clients, workspace.path(), &variables(&server)).await;
        assert_eq!(said["found"], OURS, "{said}");
        assert!(said["saved"].as_i64().unwrap() > 0, "{said}");

        // What it restored is a folder as `--cache-dir` has it.
        assert!(std::fs::read(hit(by_hand.get(OURS).await)).unwrap() == content);
        // What it saved is an entry as ours.
        assert!(server.world().entries.iter().all(|entry| entry.is_whole && entry.version == version()));
        let next = Run::new(cache_of(&server), BOTH, Caps::default());
        assert_eq!(std::fs::read(hit(next.store.get(THEIRS).await)).unwrap(), b"their image");
        assert_eq!(next.store.get("ev-image-v2-example-linux-amd64-0003").await, Kept::Miss);
        assert_eq!(next.finish().await, Vec::<String>::new());
    }
}
