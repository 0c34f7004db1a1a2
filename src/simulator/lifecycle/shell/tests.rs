use std::time::Duration;

use super::*;

fn play_script(script: &str, surroundings: &Surroundings) -> Play {
    play_command(&["sh", "-c", script].map(str::to_owned), surroundings)
}

fn surroundings(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Surroundings {
    let owned = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    Surroundings { variables: owned(variables), files: owned(files), serves: false }
}

/// What a script prints, and how it ends.
fn play(script: &str) -> (String, End) {
    let play = play_script(script, &surroundings(&[("RANK", "1"), ("WORLD_SIZE", "3")], &[]));
    (play.output.iter().map(|(_, text)| text.as_str()).collect(), play.end)
}

fn exit(code: i32, seconds: u64) -> End {
    End::Exit { code, after: Duration::from_secs(seconds) }
}

#[test]
fn the_commands_of_the_recordings_do_what_they_did_there() {
    for (script, printed, end) in [
        ("echo hello; sleep 1; echo accuracy=0.97", "hello\naccuracy=0.97\n", exit(0, 1)),
        ("echo rank $RANK world $WORLD_SIZE; sleep 2", "rank 1 world 3\n", exit(0, 2)),
        ("echo no data; exit 7", "no data\n", exit(7, 0)),
        ("echo boom >&2; sleep 1; exit 1", "boom\n", exit(1, 1)),
        ("sleep 8; echo done", "done\n", exit(0, 8)),
        ("echo w; sleep 600", "w\n", exit(0, 600)),
        ("x=a; while true; do x=$x$x; done", "", End::OutOfMemory { after: Duration::ZERO }),
        ("true", "", exit(0, 0)),
    ] {
        assert_eq!(play(script), (printed.to_owned(), end), "{script}");
    }
}

#[test]
fn a_case_takes_the_first_arm_that_fits() {
    let script = r#"case "$TF_CONFIG" in *'"index":0'*) echo w0; sleep 10;; *) echo boom; sleep 10; exit 1;; esac"#;
    for (config, code) in [(r#"{"task":{"type":"worker","index":0}}"#, 0), (r#"{"task":{"index":1}}"#, 1)] {
        let play = play_script(script, &surroundings(&[("TF_CONFIG", config)], &[]));
        assert_eq!(play.end, exit(code, 10));
    }
}

#[test]
fn the_launcher_of_an_mpijob_reads_its_hostfile() {
    let script = r#"cat /etc/mpi/hostfile; for h in $(cut -d" " -f1 /etc/mpi/hostfile); do /etc/mpi/kubexec.sh $h "echo hello from $h" || exit 1; done; echo accuracy=0.97"#;
    let files = [("/etc/mpi/hostfile", "mpi-worker-0 slots=1\nmpi-worker-1 slots=1\n")];
    let play = play_script(script, &surroundings(&[], &files));
    let printed: String = play.output.into_iter().map(|(_, text)| text).collect();
    assert_eq!(
        printed,
        "mpi-worker-0 slots=1\nmpi-worker-1 slots=1\nhello from mpi-worker-0\nhello from mpi-worker-1\naccuracy=0.97\n"
    );
}

#[test]
fn the_init_container_of_a_pytorchjob_finds_its_master() {
    let script = "err=1;for i in $(seq 100); do if nslookup ok-master-0; then err=0 && break; fi;echo waiting for master; sleep 2; done; exit $err";
    assert_eq!(play(script), (String::new(), exit(0, 0)));
}

#[test]
fn output_is_dated_by_the_sleeps_before_it() {
    let play = play_script("echo a; sleep 2; echo b; echo c", &Surroundings::default());
    assert_eq!(play.output, [(Duration::ZERO, "a\n".to_owned()), (Duration::from_secs(2), "b\nc\n".to_owned())]);
}

#[test]
fn control_flow_is_that_of_a_shell() {
    for (script, printed, code) in [
        ("false && echo a || echo b", "b\n", 0),
        ("if [ $RANK -eq 1 ]; then echo one; else echo other; fi", "one\n", 0),
        ("i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done", "0\n1\n2\n", 0),
        ("set -e; echo a; false; echo b", "a\n", 1),
        ("set -e; false || true; echo b", "b\n", 0),
        ("(exit 3); echo $?", "3\n", 0),
        ("echo a b | cut -d' ' -f2", "b\n", 0),
        (
            "echo hello > /tmp/x; cat /tmp/x; cat /no/file",
            "hello\ncat: can't open '/no/file': No such file or directory\n",
            1,
        ),
        ("echo \"${NOPE:-fallback} $(echo in)\" '$RANK'", "fallback in $RANK\n", 0),
        ("for x in a b c; do [ $x = b ] && continue; echo $x; done", "a\nc\n", 0),
        ("kill -9 $$", "", 137),
        ("/no/such/thing", "sh: /no/such/thing: not found\n", 127),
        ("! true", "", 1),
    ] {
        assert_eq!(play(script), (printed.to_owned(), exit(code, 0)), "{script}");
    }
}

#[test]
fn what_is_not_known_succeeds_and_says_that_it_was_simulated() {
    assert_eq!(play("python train.py --epochs 1"), ("simulated: python train.py --epochs 1\n".to_owned(), exit(0, 0)));
    assert_eq!(play("f() { echo a; }; f").1, exit(0, 0));
}

#[test]
fn what_is_not_known_serves_for_ever_where_pods_are_servers() {
    let surroundings = Surroundings { serves: true, ..Surroundings::default() };
    assert_eq!(play_script("echo a; nginx -g daemon", &surroundings).end, End::Never);
    assert_eq!(play_script("echo a", &surroundings).end, exit(0, 0));
}

#[test]
fn a_script_that_calls_itself_hangs() {
    assert_eq!(play("x='eval \"$x\"'; eval \"$x\"").1, End::Never);
    assert_eq!(play("x='sh -c \"$x\"'; sh -c \"$x\"").1, End::Never);
    assert_eq!(play("bash -ec 'exit 4; echo a'; echo $?"), ("4\n".to_owned(), exit(0, 0)));
}

#[test]
fn a_loop_without_end_hangs() {
    assert_eq!(play("while true; do :; done").1, End::Never);
    assert_eq!(play("sleep infinity").1, End::Never);
    assert_eq!(play("while true; do echo tick; sleep 1; done").1, End::Never);
}

proptest::proptest! {
    #[test]
    fn no_script_makes_it_panic(script in r#"[a-z0-9 ;&|<>(){}$"'`=#!*?\n\\-]{0,40}"#) {
        play(&script);
    }
}
