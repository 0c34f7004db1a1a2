//! How scripts end, and what they leave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::trial::script::testing::{World, is_alive, until};
use crate::trial::script::{ScriptEnd, last_line};

#[tokio::test]
async fn exit_codes_and_signals_are_told() {
    for (text, expected, code) in [
        ("exit 0", ScriptEnd::Exited { code: 0 }, 0),
        ("exit 3", ScriptEnd::Exited { code: 3 }, 3),
        ("kill -SEGV $$", ScriptEnd::Signalled { signal: 11 }, 139),
        ("kill -TERM $$", ScriptEnd::Signalled { signal: 15 }, 143),
    ] {
        let end = World::sh(text).run().await.0.unwrap().end;
        assert_eq!((&end, end.exit_code()), (&expected, Some(code)), "{text}");
    }
}

#[tokio::test]
async fn both_streams_come_in_the_order_in_which_they_were_written() {
    let (ended, output) = World::sh("for i in 1 2 3; do echo out$i; echo err$i >&2; done; exit 1").run().await;
    assert_eq!(output, "out1\nerr1\nout2\nerr2\nout3\nerr3\n");
    assert_eq!(last_line(&ended.unwrap().tail).as_deref(), Some("err3"));
}

#[tokio::test]
async fn output_comes_while_the_script_runs() {
    // The script goes on only when its first line has been seen.
    let world = World::sh("echo first; while [ ! -e seen ]; do sleep 0.01; done; echo second");
    let (root, mut output) = (world.root(), Vec::new());
    let ended = world.run_into(|chunk| {
        output.extend_from_slice(chunk);
        if output.starts_with(b"first\n") {
            std::fs::write(root.join("seen"), "").unwrap();
        }
    });
    assert_eq!(ended.await.unwrap().end, ScriptEnd::Exited { code: 0 });
    assert_eq!(output, b"first\nsecond\n");
}

#[tokio::test]
async fn of_a_hundred_megabytes_every_byte_is_handed_out_and_only_the_tail_is_kept() {
    let world = World::sh("head -c 104857600 /dev/zero | tr '\\0' 'x'; echo; echo end");
    let (mut total, mut largest) = (0, 0);
    let ended = world.run_into(|chunk| {
        total += chunk.len();
        largest = largest.max(chunk.len());
    });
    let ended = ended.await.unwrap();
    assert_eq!((ended.end, total), (ScriptEnd::Exited { code: 0 }, 104_857_600 + 5));
    assert!(largest <= 64 * 1024 && ended.tail.len() <= 64 * 1024, "{largest}");
    assert_eq!(last_line(&ended.tail).as_deref(), Some("end"));
}

#[tokio::test]
async fn a_script_that_never_ends_runs_out_of_time() {
    let mut world = World::sh("exec sleep 1000");
    world.limits.timeout = Duration::from_millis(100);
    assert_eq!(world.run().await.0.unwrap().end, ScriptEnd::TimedOut);
}

#[tokio::test]
async fn a_script_ends_with_all_that_it_started() {
    let world = World::sh("echo $$ >pid; sleep 1000 & echo $! >child; echo started; wait");
    let (end, output) = world.run_until_started().await;
    assert_eq!((end, output.lines().next()), (ScriptEnd::Stopped, Some("started")));
    for file in ["pid", "child"] {
        let pid = std::fs::read_to_string(world.root().join(file)).unwrap();
        until("no process is left", || !is_alive(&pid)).await;
    }
}

#[tokio::test]
async fn an_endless_output_does_not_stop_the_clock() {
    let mut world = World::sh("yes");
    world.limits.timeout = Duration::from_millis(300);
    let ended = world.run_into(|_| {}).await.unwrap();
    assert_eq!(ended.end, ScriptEnd::TimedOut);
    assert!(ended.took < Duration::from_secs(30), "{:?}", ended.took);
}

#[tokio::test]
async fn a_script_may_end_in_order_and_is_killed_if_it_does_not() {
    let polite = World::sh("trap 'echo bye; exit 0' TERM; echo started; while :; do sleep 0.01; done");
    let (end, output) = polite.run_until_started().await;
    assert_eq!(end, ScriptEnd::Stopped);
    assert!(output.ends_with("bye\n"), "{output}");
    let deaf = World::sh("trap '' TERM; echo $$ >pid; echo started; while :; do sleep 0.01; done");
    assert_eq!(deaf.run_until_started().await.0, ScriptEnd::Stopped);
    let pid = std::fs::read_to_string(deaf.root().join("pid")).unwrap();
    until("the script is gone", || !is_alive(&pid)).await;
}

#[tokio::test]
async fn a_cancelled_or_stopped_script_ends_at_once() {
    for (cancels, expected) in [(true, ScriptEnd::Cancelled), (false, ScriptEnd::Stopped)] {
        let world = World::sh("echo started; sleep 1000");
        let token = if cancels { world.limits.cancel.clone() } else { world.limits.stop.clone() };
        let ended = world.run_into(|_| token.cancel()).await.unwrap();
        assert_eq!(ended.end, expected);
        assert!(ended.took < Duration::from_secs(60), "{:?}", ended.took);
    }
}

#[tokio::test]
async fn what_a_script_leaves_in_the_background_ends_with_it() {
    // One holds the output, one does not, one does not listen.
    let text = "sleep 1000 & echo $! >a; sleep 1000 >/dev/null 2>&1 & echo $! >b\n\
                sh -c 'trap \"\" TERM; sleep 1000' & echo $! >c; echo done";
    let world = World::sh(text);
    let (ended, output) = world.run().await;
    assert_eq!((ended.unwrap().end, output.as_str()), (ScriptEnd::Exited { code: 0 }, "done\n"));
    for file in ["a", "b", "c"] {
        let pid = std::fs::read_to_string(world.root().join(file)).unwrap();
        until("no process is left", || !is_alive(&pid)).await;
    }
}

#[tokio::test]
async fn a_process_that_left_the_group_is_not_waited_for() {
    let world = World::sh(
        "setsid sh -c 'echo $$ >daemon; exec sleep 1000' & while [ ! -s daemon ]; do sleep 0.01; done; echo done",
    );
    let (ended, output) = world.run().await;
    let ended = ended.unwrap();
    let daemon = std::fs::read_to_string(world.root().join("daemon")).unwrap();
    let status = std::process::Command::new("kill").args(["-KILL", daemon.trim()]).status().unwrap();
    assert!(status.success(), "it still ran: nobody waited for it");
    assert_eq!((ended.end, output.as_str()), (ScriptEnd::Exited { code: 0 }, "done\n"));
}

#[tokio::test]
async fn an_attempt_that_is_given_up_leaves_no_process() {
    let world = World::sh("echo $$ >pid; sleep 1000 & echo $! >child; echo started; wait");
    let chunks = AtomicUsize::new(0);
    {
        let running = world.run_into(|_| {
            chunks.fetch_add(1, Ordering::Relaxed);
        });
        tokio::select! {
            ended = running => panic!("{ended:?}"),
            () = until("it has started", || chunks.load(Ordering::Relaxed) > 0) => {}
        }
    }
    for file in ["pid", "child"] {
        let pid = std::fs::read_to_string(world.root().join(file)).unwrap();
        until("no process is left", || !is_alive(&pid)).await;
    }
}
