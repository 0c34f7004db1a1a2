use super::*;
use crate::model::CauseClass;
use crate::report::{Run, sample};
use proptest::prelude::*;

fn report(rows: Vec<Row>) -> Report {
    Report::new(Run::default(), vec![], vec![], rows, &[])
}

fn on(example: &str, version: &str, outcome: Outcome) -> Row {
    let mut row = sample::slow(example, version);
    row.outcome = outcome;
    if !row.is_bad() {
        row.cause = None;
    }
    row
}

/// Every example on eight versions, each cell with an outcome and a reason by chance.
fn noisy(examples: usize) -> Report {
    let mut seed = 1_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    let rows = (0..examples).flat_map(|index| (30..38).map(move |minor| (index, format!("v1.{minor}.0")))).map(
        |(index, version)| {
            let mut row = sample::slow(&format!("examples/{index}.yaml"), &version);
            row.outcome = Outcome::ALL[usize::try_from(random(6)).unwrap()];
            if let Some(cause) = &mut row.cause {
                (cause.class, cause.reason) = (CauseClass::Image, format!("Reason{}", random(4)));
            }
            row
        },
    );
    report(rows.collect())
}

#[test]
fn what_was_written_is_read() {
    let mut statically = sample::broken("b.yaml");
    statically.quarantined = true;
    let rows = vec![on("a.yaml", "v1.33.4", Outcome::Passed), on("a.yaml", "v1.34.0", Outcome::TimedOut), statically];
    let state = State::of(&report(rows.clone()), "0123abc");
    let body = format!("Text\n<!-- no state -->\n\n{}\n", state.line());
    let read = State::read(&body.replace('\n', "\r\n")).unwrap();
    assert_eq!(read, state);
    assert_eq!((read.commit.as_str(), read.simulated, read.digest.len()), ("0123abc", false, 16));
    assert_eq!(read.was(&rows[0]), Was::Known(Outcome::Passed, ""));
    assert_eq!(read.was(&rows[1]), Was::Known(Outcome::TimedOut, "timeout/Timeout"));
    assert_eq!(read.was(&rows[2]), Was::Known(Outcome::Failed, "manifest/EV105"));
    for absent in [on("b.yaml", "v1.34.0", Outcome::Passed), on("c.yaml", "v1.34.0", Outcome::Passed)] {
        assert_eq!(read.was(&absent), Was::Absent);
    }
}

#[test]
fn the_digest_is_that_of_the_results_alone() {
    let rows = || vec![on("a", "v1.33.4", Outcome::Passed), on("a", "v1.34.0", Outcome::Failed)];
    let digest = |rows| State::of(&report(rows), "x").digest;
    let first = digest(rows());
    let mut later = rows();
    later[0].duration_ms += 1;
    later[1].attempts.clear();
    assert_eq!(digest(later), first);
    let mut fared_otherwise = rows();
    fared_otherwise[0].outcome = Outcome::Flaky;
    let mut caused_otherwise = rows();
    caused_otherwise[1].cause.as_mut().unwrap().reason = "Other".to_owned();
    let mut spared = rows();
    spared[1].quarantined = true;
    for other in [fared_otherwise, caused_otherwise, spared, rows()[..1].to_vec()] {
        assert_ne!(digest(other), first);
    }
}

#[test]
fn a_thousand_examples_on_eight_versions_are_kept_whole() {
    let report = noisy(1_000);
    let state = State::of(&report, &"f".repeat(40));
    let line = state.line();
    assert_eq!(State::read(&line), Some(state));
}

#[test]
fn more_are_kept_in_part_and_nothing_is_made_up() {
    let many = (0..8_000).map(|index| {
        let outcome = if index % 100 == 0 { Outcome::Failed } else { Outcome::Passed };
        on(&format!("{index}.yaml"), "v1.34.0", outcome)
    });
    let many = report(many.collect());
    let state = State::of(&many, "x");
    assert!(state.line().len() <= MAX_LINE);
    let read = State::read(&state.line()).unwrap();
    assert_eq!((read.kept, read.examples.len(), &read.digest), (Kept::Bad, 80, &state.digest));
    for row in &many.results {
        let was = if row.is_bad() { Was::Known(Outcome::Failed, "timeout/Timeout") } else { Was::NotBad };
        assert_eq!(read.was(row), was);
    }

    let noisy = noisy(4_000);
    let state = State::of(&noisy, "x");
    assert!(state.line().len() <= MAX_LINE);
    let read = State::read(&state.line()).unwrap();
    assert_eq!((read.kept, &read.digest), (Kept::Part, &state.digest));
    assert!(read.examples.len() > 500, "{}", read.examples.len());
    for row in &noisy.results {
        match read.was(row) {
            Was::Known(outcome, cause) => {
                assert_eq!((outcome, cause), (row.outcome, cause_of(row).unwrap_or_default().as_str()));
            }
            was => assert_eq!(was, Was::Unknown),
        }
    }
}

#[test]
fn what_is_no_state_of_ours_is_none() {
    let state = State::of(&noisy(3), "x");
    let line = state.line();
    let packed = |json: &str| {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(json.as_bytes()).unwrap();
        format!("{BEFORE}{}{AFTER}", STANDARD.encode(encoder.finish().unwrap()))
    };
    let whole = |examples: &str| format!(r#"{{"c":"","d":"","s":false,"k":"a","v":["v1"],"r":[],"e":{examples}}}"#);
    assert!(State::read(&packed(&whole(r#"{"p":"AAAAAA"}"#))).is_some());
    for body in [
        String::new(),
        "text".to_owned(),
        line.replace("v1 ", "v2 "),
        line[..line.len() - 20].to_owned() + AFTER,
        line[..line.len() / 2].to_owned(),
        format!("{line}\nmore"),
        format!(" {line}"),
        format!("{BEFORE}!!!!{AFTER}"),
        packed("{}"),
        packed("[[[["),
        packed(&whole(r#"{"pp":"AAAAAA"}"#)),
        packed(&whole(r#"{"p0":"AAAAAA"}"#)),
        packed(&whole(r#"{"x":"AAAAAA"}"#)),
        packed(&whole(r#"{"p":"AAAA"}"#)),
        packed(&whole(&format!(r#"{{"p":"{}"}}"#, "A".repeat(50 << 20)))),
    ] {
        assert_eq!(State::read(&body), None, "{}", &body[..body.len().min(80)]);
    }
}

proptest! {
    #[test]
    fn whatever_is_in_a_comment_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), text in ".{0,40}") {
        let _ = State::read(&text);
        let _ = State::read(&format!("{BEFORE}{text}{AFTER}"));
        let _ = State::read(&format!("{BEFORE}{}{AFTER}", STANDARD.encode(bytes)));
    }
}
