use std::collections::BTreeMap;

use super::*;
use crate::image::digest::identify;

/// A project with one image, and a `docker` that is a script; its file `calls` has the arguments of each call.
struct World {
    folder: tempfile::TempDir,
    image: ImageBuild,
    writes_layers: bool,
}

impl World {
    fn new(dockerfile: &str, docker: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("ctx")).unwrap();
        std::fs::write(folder.path().join("ctx/Dockerfile"), dockerfile).unwrap();
        let script = format!("#!/bin/sh\necho \"$@\" >> {}/calls\n{docker}\n", folder.path().display());
        crate::child::testing::program(&folder.path().join("docker"), &script);
        let image = ImageBuild {
            name: "example/x".to_owned(),
            context: "ctx".into(),
            dockerfile: "Dockerfile".into(),
            args: BTreeMap::from([("A".to_owned(), "b c".to_owned())]),
            target: Some("t".to_owned()),
            inputs: Vec::new(),
            replaces: Vec::new(),
        };
        Self { folder, image, writes_layers: true }
    }

    async fn build(&self) -> (Built, String) {
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        let engine = Engine::new(&[("PATH".into(), path.into())], self.folder.path());
        let identity = identify(&self.image, self.folder.path(), "linux/amd64").unwrap();
        let order = Build {
            image: &self.image,
            root: self.folder.path(),
            identity: &identity,
            archive: &self.folder.path().join("x.tar.zst"),
            layers: Some(&LayerFolder { path: self.folder.path().join("layers"), is_written: self.writes_layers }),
            bound: Duration::from_secs(30),
        };
        let mut log = Vec::new();
        let built = Builder::find(&engine).await.build(&order, &mut |bytes: &[u8]| log.extend_from_slice(bytes)).await;
        (built, String::from_utf8(log).unwrap())
    }

    fn calls(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("calls")).unwrap()
    }

    fn saved(&self) -> Vec<u8> {
        let mut out = Vec::new();
        archive::decompress(std::fs::File::open(self.folder.path().join("x.tar.zst")).unwrap(), &mut out).unwrap();
        out
    }
}

fn cause(built: Built) -> (Outcome, Cause) {
    match built {
        Built::Not { outcome, cause, .. } => (outcome, *cause),
        Built::Ready { .. } => panic!("it was built"),
    }
}

#[tokio::test]
async fn inside_of_the_engine_it_is_built_and_then_saved() {
    let docker = "case \"$1 $2\" in 'buildx inspect') echo 'Driver: docker';; 'buildx build') echo out; echo err >&2;; save*) echo tar;; esac";
    let world = World::new("FROM a\nRUN --mount=type=cache,target=/x true\n", docker);
    let (built, log) = world.build().await;
    let Built::Ready { archive, .. } = built else { panic!("{built:?}") };
    assert_eq!((world.saved(), archive.unpacked), (b"tar\n".to_vec(), 4));
    assert_eq!(log, "out\nerr\n");
    let calls = world.calls();
    let root = world.folder.path().display();
    let options =
        format!("--label {LABEL}=example/x --file {root}/ctx/Dockerfile --build-arg A=b c --target t {root}/ctx\n");
    assert!(
        calls.contains("buildx build --progress plain --load --tag example/x:ev-") && calls.contains(&options),
        "{calls}"
    );
}

#[tokio::test]
async fn outside_of_the_engine_it_goes_straight_into_the_archive_and_layers_are_kept() {
    let docker = "case \"$1 $2\" in 'buildx inspect') echo 'Driver:   docker-container';; 'buildx build') echo progress >&2; printf tar; [ -e layers.next-$PPID ] && exit 7; mkdir layers.next-$PPID; touch layers.next-$PPID/index.json;; esac";
    let world = World::new("FROM a\n", docker);
    // What another run left, that had our number.
    std::fs::create_dir(world.folder.path().join(format!("layers.next-{}", std::process::id()))).unwrap();
    let (built, log) = world.build().await;
    assert!(matches!(built, Built::Ready { .. }), "{built:?}");
    assert_eq!((world.saved(), log.as_str()), (b"tar".to_vec(), "progress\n"));
    let calls = world.calls();
    assert!(
        calls.contains("--output type=docker,dest=-") && calls.contains("--cache-to type=local,mode=max,\"dest="),
        "{calls}"
    );
    assert!(!calls.contains("--cache-from") && !calls.contains("save "), "{calls}");
    world.build().await;
    assert!(world.calls().contains("--cache-from type=local,\"src="), "{}", world.calls());
}

#[tokio::test]
async fn layers_that_are_not_written_are_used_all_the_same() {
    let docker =
        "case \"$1 $2\" in 'buildx inspect') echo 'Driver:   docker-container';; 'buildx build') printf tar;; esac";
    let world = World { writes_layers: false, ..World::new("FROM a\n", docker) };
    let layers = world.folder.path().join("layers");
    std::fs::create_dir(&layers).unwrap();
    std::fs::write(layers.join("index.json"), "{}").unwrap();
    let (built, _) = world.build().await;
    assert!(matches!(built, Built::Ready { .. }), "{built:?}");
    let calls = world.calls();
    assert!(calls.contains("--cache-from type=local,\"src=") && !calls.contains("--cache-to"), "{calls}");
    assert!(layers.join("index.json").is_file());
}

#[tokio::test]
async fn without_buildx_what_needs_buildkit_is_refused_before_anything_is_built() {
    let docker = "case $1 in buildx) exit 1;; save) echo tar;; esac";
    let world = World::new("FROM a\nRUN --mount=type=cache,target=/x true\n", docker);
    let (outcome, cause) = cause(world.build().await.0);
    assert_eq!((outcome, cause.reason.as_str(), cause.line), (Outcome::Failed, "BuildKitRequired", 2));
    assert_eq!(cause.file, "ctx/Dockerfile");
    assert!(cause.message.contains("`RUN --mount`") && cause.hint.contains("buildx"), "{cause:?}");
    assert!(!world.calls().contains("build --force-rm"));
    let world = World::new("FROM a\n", docker);
    assert!(matches!(world.build().await.0, Built::Ready { .. }));
    assert!(world.calls().contains("\nbuild --force-rm --tag "), "{}", world.calls());
}

#[tokio::test]
async fn a_failed_build_has_the_failing_step_as_its_cause_and_leaves_no_archive() {
    let docker = "case \"$1 $2\" in 'buildx build') printf ' > [2/2] RUN x:\\n0.1 oops\\n------\\nDockerfile:2\\nERROR: failed to solve: process \"x\" did not complete successfully: exit code: 3\\n'; exit 1;; esac";
    let world = World::new("FROM a\nRUN x\n", docker);
    let (built, _) = world.build().await;
    let Built::Not { tail, .. } = &built else { panic!() };
    assert_eq!(tail.len(), 5);
    let (outcome, cause) = cause(built);
    assert_eq!((outcome, cause.class, cause.reason.as_str()), (Outcome::Failed, CauseClass::Image, "BuildFailed"));
    assert_eq!(cause.message, "building example/x failed: `RUN x`: exit code 3: oops");
    assert_eq!((cause.file.as_str(), cause.line), ("ctx/Dockerfile", 2));
    assert!(!world.folder.path().join("x.tar.zst").exists());
}

#[tokio::test]
async fn an_engine_that_is_gone_and_an_image_that_can_t_be_saved_are_nobody_s_failure() {
    let docker = "case \"$1 $2\" in 'buildx build') echo 'ERROR: Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?' >&2; exit 1;; esac";
    let (outcome, gone) = cause(World::new("FROM a\n", docker).build().await.0);
    assert_eq!(
        (outcome, gone.class, gone.reason.as_str()),
        (Outcome::Errored, CauseClass::Cluster, "DockerUnavailable")
    );
    let docker = "case $1 in save) echo half; echo 'no space left' >&2; exit 1;; esac";
    let world = World::new("FROM a\n", docker);
    let (outcome, unsaved) = cause(world.build().await.0);
    assert_eq!((outcome, unsaved.reason.as_str()), (Outcome::Errored, "ImageSaveFailed"));
    assert!(unsaved.message.ends_with("no space left"), "{}", unsaved.message);
    assert!(!world.folder.path().join("x.tar.zst").exists());
}

#[tokio::test]
async fn a_full_disk_is_not_the_projects_fault() {
    let docker = "case \"$1 $2\" in 'buildx build') printf ' > [2/2] RUN x:\\n0.1 cp: write error: No space left on device\\n0.2 make: *** [all] Error 1\\n------\\nDockerfile:2\\nERROR: failed to solve: process \"x\" did not complete successfully: exit code: 2\\n'; exit 1;; esac";
    let (outcome, full) = cause(World::new("FROM a\nRUN x\n", docker).build().await.0);
    assert_eq!((outcome, full.class, full.reason.as_str()), (Outcome::Errored, CauseClass::Cluster, "DiskFull"));
    let docker = "case $1 in save) echo 'write /x: no space left on device' >&2; exit 1;; esac";
    let (outcome, full) = cause(World::new("FROM a\n", docker).build().await.0);
    assert_eq!((outcome, full.reason.as_str()), (Outcome::Errored, "DiskFull"));
}

#[tokio::test]
async fn what_breaks_the_pipe_of_a_build_is_told_and_not_the_broken_pipe() {
    let docker = "case \"$1 $2\" in 'buildx inspect') echo 'Driver: docker-container';; 'buildx build') cat /dev/zero; echo 'ERROR: write: broken pipe' >&2; exit 1;; esac";
    let world = World::new("FROM a\n", docker);
    // Its folder is no folder: nothing can be packed there.
    std::fs::write(world.folder.path().join("file"), "").unwrap();
    let path = format!("{}:{}", world.folder.path().display(), std::env::var("PATH").unwrap());
    let engine = Engine::new(&[("PATH".into(), path.into())], world.folder.path());
    let identity = identify(&world.image, world.folder.path(), "linux/amd64").unwrap();
    let archive = world.folder.path().join("file/x.tar.zst");
    let (image, root, bound) = (&world.image, world.folder.path(), Duration::from_secs(30));
    let order = Build { image, root, identity: &identity, archive: &archive, layers: None, bound };
    let (outcome, unsaved) = cause(Builder::find(&engine).await.build(&order, &mut |_: &[u8]| ()).await);
    assert_eq!((outcome, unsaved.reason.as_str()), (Outcome::Errored, "ImageSaveFailed"));
    assert!(unsaved.message.contains("file/x.tar.zst can't be written"), "{}", unsaved.message);
}

#[test]
fn an_image_that_stands_on_another_of_ours_is_refused_with_its_line() {
    let world = World::new("ARG V=1\nFROM debian\nFROM example/base:$V\n", "");
    let base = ImageBuild { name: "docker.io/example/base".to_owned(), ..world.image.clone() };
    let root = world.folder.path();
    let images = [world.image.clone(), base.clone()];
    let cause = base_of_ours(&world.image, root, &images).unwrap();
    assert_eq!((cause.reason.as_str(), cause.file.as_str(), cause.line), ("BaseIsBuilt", "ctx/Dockerfile", 3));
    // Its own published self, or what it replaces, is there to be built upon.
    assert_eq!(base_of_ours(&base, root, &images), None);
    let replacing = ImageBuild { name: "other".to_owned(), replaces: vec!["example/base".to_owned()], ..base };
    assert_eq!(base_of_ours(&world.image, root, &[replacing]), None);
}

/// The real thing: builds, saves, and takes the archive into the engine again. `docker` is the one on the PATH.
#[tokio::test]
#[ignore = "needs a Docker engine with the image named in EXAMPLE_VALIDATOR_TEST_BASE"]
async fn a_real_engine_builds_saves_and_takes_it_back() {
    let base = std::env::var("EXAMPLE_VALIDATOR_TEST_BASE").unwrap();
    let world = World::new(&format!("FROM {base} AS t\nARG A\nRUN echo $A > /a\n"), "");
    std::fs::remove_file(world.folder.path().join("docker")).unwrap();
    let environment: Vec<_> = std::env::vars_os().collect();
    let engine = Engine::new(&environment, world.folder.path());
    let platform = engine.platform().await.unwrap();
    let identity = identify(&world.image, world.folder.path(), &platform).unwrap();
    let archive = world.folder.path().join("x.tar.zst");
    let bound = Duration::from_secs(300);
    let layers = LayerFolder { path: world.folder.path().join("layers"), is_written: true };
    let order = Build {
        image: &world.image,
        root: world.folder.path(),
        identity: &identity,
        archive: &archive,
        layers: Some(&layers),
        bound,
    };
    let builder = Builder::find(&engine).await;
    let built = builder.build(&order, &mut |_: &[u8]| ()).await;
    let Built::Ready { archive: written, build: took, save } = built else { panic!("{built:?}") };
    println!("{:?}: built in {took:?}, saved in {save:?}: {written:?}", builder.driver());
    engine.forget(&identity.tag).await;
    let start = Instant::now();
    engine.import(&archive, bound).await.unwrap();
    println!("imported in {:?}", start.elapsed());
    let run = engine.ask(&["run", "--rm", &identity.tag, "cat", "/a"]).await.unwrap();
    assert_eq!(run.out, "b c\n", "{}", run.err);
    engine.forget(&identity.tag).await;
    std::fs::write(world.folder.path().join("ctx/Dockerfile"), format!("FROM {base} AS t\nRUN echo oops; exit 3\n"))
        .unwrap();
    let (outcome, cause) = cause(builder.build(&order, &mut |_: &[u8]| ()).await);
    assert_eq!(
        (outcome, cause.message.as_str()),
        (Outcome::Failed, "building example/x failed: `RUN echo oops; exit 3`: exit code 3: oops")
    );
}
