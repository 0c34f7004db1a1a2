//! The digest of a large build context.
//!
//! A plain program and no statistics: `cargo bench --bench image`; the number of files and the size in MiB may be given
//! (`-- 10000 1024`).

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use example_validator::config::ImageBuild;
use example_validator::image::digest::identify;

const MIB: usize = 1 << 20;

/// Files of different sizes, the largest a hundred times the smallest, in folders of a hundred.
fn generate(root: &Path, files: usize, bytes: usize) {
    let block: Vec<u8> = (0..MIB).map(|at| (at * 31 % 251) as u8).collect();
    let weight = |file: usize| 1 + (file * 37) % 100;
    let unit = bytes / (0..files).map(weight).sum::<usize>();
    for file in 0..files {
        let folder = root.join(format!("ctx/{:03}", file / 100));
        fs::create_dir_all(&folder).unwrap();
        let mut content = file.to_le_bytes().to_vec();
        content.extend(block.iter().cycle().take(unit * weight(file)));
        fs::write(folder.join(format!("{file:05}.bin")), content).unwrap();
    }
    fs::write(root.join("ctx/Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
    fs::write(root.join("ctx/.dockerignore"), "*.pyc\n**/__pycache__\nnode_modules\n!node_modules/kept\n.git\n")
        .unwrap();
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|number| number.parse::<usize>().ok());
    let (files, bytes) = (numbers.next().unwrap_or(10_000), numbers.next().unwrap_or(1024) * MIB);
    let root = tempfile::tempdir_in(std::env::var_os("CARGO_TARGET_TMPDIR").unwrap_or_else(|| ".".into())).unwrap();
    generate(root.path(), files, bytes);
    let image = ImageBuild {
        name: "example/large".to_owned(),
        context: "ctx".into(),
        dockerfile: "Dockerfile".into(),
        args: BTreeMap::new(),
        target: None,
        inputs: Vec::new(),
        replaces: Vec::new(),
    };
    for round in ["first", "second", "third"] {
        let start = Instant::now();
        let identity = identify(&image, root.path(), "linux/amd64").unwrap();
        let time = start.elapsed().as_secs_f64();
        let mib = identity.bytes as f64 / MIB as f64;
        println!("{round}: {} entries, {mib:.0} MiB in {time:.2} s ({:.0} MiB/s)", identity.files, mib / time);
    }
}
