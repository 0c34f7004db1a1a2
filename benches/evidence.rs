//! One GiB of logs through redaction and into the archive, beside Info-ZIP's `zip -6` on the same files.
//!
//! A plain program and no statistics: each figure is a run of seconds. `cargo bench --bench evidence`; the size in MiB may be
//! given (`-- 256`). It prints throughput, sizes and its own peak memory.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use example_validator::evidence::archive::{Contents, archive};
use example_validator::evidence::{Evidence, Limits, Redactor};
use example_validator::model::ExampleId;
use example_validator::report::Run;

const FILES: u64 = 16;
const MIB: u64 = 1 << 20;

/// A generator of numbers that is the same everywhere (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A line as the containers of training jobs and operators print them.
fn line(numbers: &mut Numbers, time: u64, out: &mut String) {
    const MODULES: [&str; 6] =
        ["torch.distributed", "trainer.loop", "datasets.arrow", "nccl", "controller.pytorchjob", "tokenizers"];
    const PATHS: [&str; 4] = ["train.py", "model/attention.py", "data/loader.py", "utils/checkpoint.py"];
    let (a, b, c) = (numbers.below(100_000), numbers.below(1000), numbers.next());
    let (second, milli) = (time / 50 % 60, time * 20 % 1000);
    let (minute, hour) = (time / 3000 % 60, time / 180_000 % 24);
    let stamp = format!("2026-11-24T{hour:02}:{minute:02}:{second:02}.{milli:03}");
    let module = MODULES[(c % 6) as usize];
    let _ = match c % 16 {
        0..=4 => writeln!(
            out,
            "{stamp}Z INFO {module}: Train Epoch: {} [{a}/60000 ({}%)]\tloss={}.{:06} tokens/s: {}",
            b % 90,
            b % 100,
            b % 3,
            c % 1_000_000,
            c % 9000
        ),
        5 | 6 => writeln!(
            out,
            "I1124 {stamp} {b} controller.go:{}] Reconciling job default/job-{a:05} uid={c:016x}",
            b % 999
        ),
        7 | 8 => writeln!(
            out,
            "{stamp} worker-{} NCCL INFO Channel {:02}/32 : {} -> {} via P2P/IPC",
            b % 8,
            c % 32,
            b % 8,
            a % 8
        ),
        9 => writeln!(out, "  File \"/workspace/{}\", line {b}, in forward", PATHS[(c % 4) as usize]),
        10 => writeln!(
            out,
            "{{\"level\":\"info\",\"ts\":\"{stamp}Z\",\"msg\":\"step done\",\"step\":{a},\"lr\":0.000{b},\"id\":\"{c:x}\"}}"
        ),
        11 => writeln!(
            out,
            "Downloading https://files.example.org/packages/{:02x}/{c:016x}/wheel-{b}.whl ({a} kB)",
            c % 256
        ),
        12 => writeln!(
            out,
            "[{stamp}] accuracy=0.{:05} val_loss={}.{:04} batch={b} gpu_mem={a}MiB",
            c % 100_000,
            b % 5,
            a % 9999
        ),
        13 => writeln!(
            out,
            "W1124 {stamp} reflector.go:{b}] watch of *v1.Pod closed with: too old resource version: {a} ({c})"
        ),
        14 => writeln!(
            out,
            "{stamp}Z DEBUG {module} rank={} grad_norm={}.{:05} elapsed={a}ms",
            b % 64,
            b % 20,
            c % 100_000
        ),
        _ if c.is_multiple_of(4096) => writeln!(out, "> Authorization: Bearer {c:032x}"),
        _ => writeln!(
            out,
            "{stamp}Z INFO checkpoint saved to /mnt/ckpt/run-{:04x}/step-{a}.pt in {b}.{}s",
            c % 65536,
            a % 10
        ),
    };
}

fn generate(folder: &Path, size: u64) {
    let mut numbers = Numbers(42);
    for file in 0..FILES {
        let mut out = std::io::BufWriter::new(fs::File::create(folder.join(format!("{file:02}.log"))).unwrap());
        let (mut text, mut written, mut time) = (String::new(), 0, file * 1000);
        while written < size {
            text.clear();
            line(&mut numbers, time, &mut text);
            time += numbers.below(3);
            out.write_all(text.as_bytes()).unwrap();
            written += text.len() as u64;
        }
    }
}

/// The peak of this process's memory so far, in MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// The processor time of this process and of those that it waited for, in seconds: proc(5), fields 14 to 17 of `stat`, in
/// hundredths.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(4).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Does something with so many bytes, and says how long it took.
fn timed<T>(what: &str, bytes: u64, work: impl FnOnce() -> T) -> (T, Duration) {
    let (start, before) = (Instant::now(), processor());
    let done = work();
    let time = start.elapsed();
    let rate = bytes as f64 / MIB as f64 / time.as_secs_f64();
    let spent = processor() - before;
    println!("{what:<32} {:>7.2} s {rate:>8.1} MiB/s {spent:>7.2} s of processor", time.as_secs_f64());
    (done, time)
}

/// Logs come in on the two threads of the runtime.
fn log(evidence: &Evidence, plain: &Path) {
    std::thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                for file in (half..FILES).step_by(2) {
                    let folder = evidence.attempt("v1.34.0", &ExampleId::new(format!("examples/{file:02}.yaml")), 1);
                    let mut log = folder.log("pod", "main", 0).unwrap();
                    let mut source = fs::File::open(plain.join(format!("{file:02}.log"))).unwrap();
                    let mut chunk = vec![0; 16 * 1024];
                    while let Ok(length @ 1..) = std::io::Read::read(&mut source, &mut chunk) {
                        log.write(&chunk[..length]).unwrap();
                    }
                    log.close().unwrap();
                }
            });
        }
    });
}

fn main() {
    let total = std::env::args().skip(1).find_map(|size| size.parse().ok()).unwrap_or(1024_u64) * MIB;
    let root = tempfile::tempdir_in(std::env::var_os("CARGO_TARGET_TMPDIR").unwrap_or_else(|| ".".into())).unwrap();
    let plain = root.path().join("plain");
    fs::create_dir(&plain).unwrap();
    generate(&plain, total / FILES - 4096);
    let bytes: u64 = fs::read_dir(&plain).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    println!("{FILES} logs, {bytes} bytes; memory before: {} MiB", peak());

    let redactor = Redactor::new();
    for n in 0..20 {
        redactor.add(&format!("a-secret-value-{n}"));
    }
    let first = fs::read(plain.join("00.log")).unwrap();
    timed("redaction alone, one thread", first.len() as u64, || {
        let (mut stream, mut out) = (redactor.stream(), Vec::with_capacity(1 << 20));
        for chunk in first.chunks(8192) {
            stream.push(chunk, &mut out);
            out.clear();
        }
        stream.finish(&mut out);
    });
    drop(first);

    let zip = root.path().join("zip.zip");
    let mut command = Command::new("zip");
    command.args(["-6", "-q", "-r"]).arg(&zip).arg("plain").current_dir(root.path()).stdout(Stdio::null());
    let (zipped, time) = timed("zip -6", bytes, || command.status().is_ok_and(|status| status.success()));
    let theirs = zipped.then(|| (time, fs::metadata(&zip).unwrap().len()));

    let evidence = Evidence::new(&root.path().join("evidence"), Limits::default(), redactor);
    let ((), logged) = timed("logs to disk, redacted", bytes, || log(&evidence, &plain));
    let contents = Contents { evidence: &evidence, run: &Run::default(), rows: &[] };
    let zip = root.path().join("evidence.zip");
    let (archived, zipped) = timed("archive", bytes, || archive(&contents, &zip).unwrap());
    let ours = logged + zipped;
    let peak = peak();
    println!("archive: {} bytes of {} files; peak memory: {} MiB", archived.size, archived.files, peak);
    if let Some((time, size)) = theirs {
        let faster = time.as_secs_f64() / ours.as_secs_f64();
        println!(
            "against zip -6: {faster:.2} times the throughput, {:.3} times the size",
            archived.size as f64 / size as f64
        );
    }
    many(root.path());
}

/// More files than an archive without the 64-bit extension can have.
fn many(root: &Path) {
    const MANY: usize = 70_000;
    let evidence = Evidence::new(&root.join("many"), Limits::default(), Redactor::new());
    let folder = evidence.other("operator");
    for n in 0..MANY {
        folder.write(&format!("{}/{n}.json", n / 500), format!("[{n}]\n").as_bytes()).unwrap();
    }
    let start = Instant::now();
    let contents = Contents { evidence: &evidence, run: &Run::default(), rows: &[] };
    let path = root.join("many.zip");
    let archived = archive(&contents, &path).unwrap();
    println!(
        "{} files: archived in {:.2} s; peak memory: {} MiB",
        archived.files,
        start.elapsed().as_secs_f64(),
        peak()
    );
    let zip = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    assert_eq!(zip.len(), MANY + 2);
}
