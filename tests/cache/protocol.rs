//! Entries that are saved and found.

use example_validator::github::cache::{Cache, CacheError, Saved, version};
use example_validator::github::retry::Patience;
use example_validator::settings::Services;

use super::server::{Answer, status};
use super::{both, bytes, cache, packed, read, services, v1, v2};

#[tokio::test]
async fn what_was_saved_is_found_again_and_never_changed() {
    // More than one part of either version.
    let content = bytes(40 << 20);
    for (server, cache) in both().await {
        assert_eq!(cache.look_up("key", &[]).await, Ok(None));
        assert_eq!(cache.save("key", &packed(&content)).await, Ok(Saved::New));
        assert_eq!(cache.save("key", &packed(b"other")).await, Ok(Saved::Known));
        let entry = cache.look_up("key", &[]).await.unwrap().unwrap();
        assert_eq!(entry.key, "key");
        assert!(read(&cache, &entry).await.unwrap() == content);
        assert!(server.count("GET", "/blob/0") > 5, "{:?}", server.world().log);
        assert_eq!(server.count("PATCH", "caches/1"), if server.world().entries[0].parts.is_empty() { 0 } else { 2 });
        assert!(!format!("{entry:?} {cache:?}").contains("s%2Bs"));
    }
}

#[tokio::test]
async fn an_exact_key_goes_before_the_newest_that_begins_with_a_restore_key() {
    for (server, cache) in both().await {
        for key in ["layers-a-1", "layers-a-2", "layers-b-1", "layers-a"] {
            server.keep(key, &version(), b"x".to_vec());
        }
        server.keep("layers-a-3", &"0".repeat(64), b"another version".to_vec());
        let found =
            async |key: &str, restore: &[&str]| cache.look_up(key, restore).await.unwrap().map(|entry| entry.key);
        assert_eq!(found("layers-a-1", &["layers-a-"]).await.as_deref(), Some("layers-a-1"));
        assert_eq!(found("layers-a-9", &["layers-a-", "layers-"]).await.as_deref(), Some("layers-a-2"));
        assert_eq!(found("layers-c-9", &["layers-c-", "layers-"]).await.as_deref(), Some("layers-a"));
        assert_eq!(found("layers-c-9", &["layers-c-", "layers-b-"]).await.as_deref(), Some("layers-b-1"));
        assert_eq!(found("other", &["another"]).await, None);
        let many: Vec<&str> = vec!["none-"; 20];
        assert_eq!(found("other", &many).await, None);
    }
}

#[tokio::test]
async fn a_key_that_no_service_takes_is_not_asked_for() {
    for (server, cache) in both().await {
        for bad in [String::new(), "a,b".to_owned(), "k".repeat(513)] {
            assert!(matches!(cache.look_up(&bad, &[]).await, Err(CacheError::Failed(_))));
            assert!(matches!(cache.look_up("good", &[&bad]).await, Err(CacheError::Failed(_))));
            assert!(matches!(cache.save(&bad, &packed(b"x")).await, Err(CacheError::Failed(_))));
        }
        assert_eq!(server.world().log, Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_at_every_step() {
    let content = bytes(5 << 20);
    let retry_after = Answer::Status(429, vec![("retry-after", "1".to_owned())], r#"{"msg": "slow down"}"#.to_owned());
    for (server, cache) in both().await {
        let is_old = server.count("GET", "x") == 0
            && cache.look_up("key", &[]).await == Ok(None)
            && server.count("GET", "/cache") == 1;
        let (find, reserve, send, commit) = if is_old {
            (("GET", "/cache"), ("POST", "/caches"), ("PATCH", "/caches/1"), ("POST", "/caches/1"))
        } else {
            (
                ("POST", "GetCacheEntryDownloadURL"),
                ("POST", "CreateCacheEntry"),
                ("PUT", "/upload/0"),
                ("POST", "FinalizeCacheEntryUpload"),
            )
        };
        for (method, path) in [find, reserve, send, commit, ("GET", "/blob/0")] {
            server.fault(method, path, 1, retry_after.clone());
            server.fault(method, path, 1, status(503, "<html>"));
            server.fault(method, path, 1, status(500, ""));
        }
        assert_eq!(cache.save("key", &packed(&content)).await, Ok(Saved::New));
        server.fault(find.0, find.1, 1, Answer::BrokenOff);
        server.fault("GET", "/blob/0", 1, Answer::BrokenOff);
        let entry = cache.look_up("key", &[]).await.unwrap().unwrap();
        assert!(read(&cache, &entry).await.unwrap() == content);
    }
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    let text = str::to_owned;
    for (server, cache) in both().await {
        let saving = async |answer| {
            let before = server.world().log.len();
            server.fault("POST", if server.world().entries.is_empty() { "/" } else { "never" }, 1, answer);
            let saved = cache.save("key", &packed(b"x")).await;
            assert_eq!(server.world().log.len() - before, 1);
            saved
        };
        let denied = r#"{"code": "permission_denied", "msg": "token is read-only"}"#;
        assert_eq!(
            saving(status(403, denied)).await,
            Err(CacheError::Denied(text("it answers 403 Forbidden: token is read-only")))
        );
        let quota = r#"{"msg": "insufficient usage to create the entry"}"#;
        assert_eq!(
            saving(status(429, quota)).await,
            Err(CacheError::Quota(text("it answers 429 Too Many Requests: insufficient usage to create the entry")))
        );
        assert_eq!(
            saving(status(400, r#"{"message": "no", "msg": "no"}"#)).await,
            Err(CacheError::Failed(text("it answers 400 Bad Request: no")))
        );
        assert_eq!(saving(status(409, "")).await, Ok(Saved::Known));
    }
}

#[tokio::test]
async fn an_answer_that_is_no_success_by_its_own_words_is_understood() {
    let server = v2::start().await;
    let cache = cache(Some(&server), None);
    let ok = |message: &str| status(200, &serde_json::json!({"ok": false, "message": message}).to_string());
    server.fault("POST", "CreateCacheEntry", 1, ok("cache write denied: the token only reads"));
    let denied = CacheError::Denied("cache write denied: the token only reads".to_owned());
    assert_eq!(cache.save("key", &packed(b"x")).await, Err(denied));
    server.fault("POST", "CreateCacheEntry", 1, ok("it already exists"));
    assert_eq!(cache.save("key", &packed(b"x")).await, Ok(Saved::Known));
    server.fault("POST", "FinalizeCacheEntryUpload", 1, ok("somebody else was first"));
    let refused = CacheError::Failed("it refuses: somebody else was first".to_owned());
    assert_eq!(cache.save("key", &packed(b"x")).await, Err(refused));
}

#[tokio::test]
async fn where_there_is_no_second_version_the_first_is_used_from_then_on() {
    // A server of artifacts alone, as act has one: it knows no such path.
    let (other, old) = (v1::start().await, v1::start().await);
    let cache = cache(Some(&other), Some(&old));
    assert_eq!(cache.look_up("key", &[]).await, Ok(None));
    assert_eq!(cache.save("key", &packed(b"x")).await, Ok(Saved::New));
    assert_eq!(cache.look_up("key", &[]).await.unwrap().unwrap().key, "key");
    assert_eq!(other.world().log.len(), 1, "it is asked once");
}

#[tokio::test]
async fn without_any_version_there_is_none() {
    let other = v1::start().await;
    let cache = cache(Some(&other), None);
    assert_eq!(cache.look_up("key", &[]).await, Ok(None));
    assert_eq!(cache.save("key", &packed(b"x")).await, Err(CacheError::Absent));
    let find = |services: &Services, server: &str| Cache::find(services, server, Patience::once()).is_some();
    assert!(!find(&Services::default(), "https://github.com"));
    assert!(!find(&services(None, None), "https://github.com"));
    assert!(
        !find(&services(Some(&other), None), "https://github.example.com"),
        "an Enterprise Server has the first alone"
    );
    assert!(find(&services(None, Some(&other)), "https://github.example.com"));
}

#[tokio::test]
async fn a_server_that_gives_no_parts_is_read_as_it_comes() {
    let content = bytes(9 << 20);
    for (server, cache) in both().await {
        cache.save("key", &packed(&content)).await.unwrap();
        server.world().no_ranges = true;
        let entry = cache.look_up("key", &[]).await.unwrap().unwrap();
        assert!(read(&cache, &entry).await.unwrap() == content);
        assert_eq!(server.count("GET", "/blob/"), 1);
    }
}

#[tokio::test]
async fn what_is_larger_than_allowed_is_not_downloaded() {
    for (server, cache) in both().await {
        cache.save("key", &packed(&bytes(9 << 20))).await.unwrap();
        let entry = cache.look_up("key", &[]).await.unwrap().unwrap();
        for no_ranges in [false, true] {
            server.world().no_ranges = no_ranges;
            let read =
                cache.read(&entry, 1 << 20, |mut incoming| std::io::copy(&mut incoming, &mut std::io::sink())).await;
            assert!(matches!(read, Err(CacheError::TooLarge { most: 1_048_576, .. })), "{read:?}");
        }
        assert_eq!(server.count("GET", "/blob/"), 2);
    }
}

#[tokio::test]
async fn an_address_that_has_expired_is_no_matter_of_rights() {
    for (server, cache) in both().await {
        cache.save("key", &packed(b"x")).await.unwrap();
        let entry = cache.look_up("key", &[]).await.unwrap().unwrap();
        server.fault("GET", "/blob/", 1, status(403, "<Error><Code>AuthenticationFailed</Code></Error>"));
        let expected = CacheError::Failed("it answers 403 Forbidden".to_owned());
        assert_eq!(read(&cache, &entry).await, Err(expected));
    }
}
