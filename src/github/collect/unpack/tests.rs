//! Archives of every hostile kind, put together byte by byte: a library's writer would refuse to make them.

use std::io::{Cursor, Write};

use proptest::prelude::*;

use super::*;

/// An entry as its headers tell it.
struct Entry {
    name: Vec<u8>,
    /// 0 stored, 8 deflated.
    method: u16,
    flags: u16,
    mode: u32,
    packed: Vec<u8>,
    size: u32,
    crc: u32,
}

fn stored(name: &str, content: &[u8]) -> Entry {
    Entry {
        name: name.as_bytes().to_vec(),
        method: 0,
        flags: 0x800,
        mode: 0o100_644,
        packed: content.to_vec(),
        size: u32::try_from(content.len()).unwrap(),
        crc: crc(content),
    }
}

fn deflated(name: &str, content: &[u8]) -> Entry {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    Entry { method: 8, packed: encoder.finish().unwrap(), ..stored(name, content) }
}

fn crc(content: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    crc.sum()
}

/// The archive of these entries. Layout: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, 4.3.
fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = u32::try_from(bytes.len()).unwrap();
        let mut shared = Vec::new();
        for field in [20, entry.flags, entry.method, 0, 0x21] {
            shared.extend(u16::to_le_bytes(field));
        }
        for field in [entry.crc, u32::try_from(entry.packed.len()).unwrap(), entry.size] {
            shared.extend(field.to_le_bytes());
        }
        shared.extend(u16::try_from(entry.name.len()).unwrap().to_le_bytes());
        shared.extend([0, 0]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&shared);
        bytes.extend(&entry.name);
        bytes.extend(&entry.packed);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&shared);
        directory.extend([0; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(&entry.name);
    }
    let start = u32::try_from(bytes.len()).unwrap();
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    bytes.extend([count, count].concat());
    bytes.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn unpacked(entries: &[Entry]) -> Result<Unpacked, Refused> {
    unpack(Cursor::new(zip(entries)))
}

fn refusal(entries: &[Entry]) -> String {
    unpacked(entries).unwrap_err().to_string()
}

#[test]
fn the_wanted_files_are_taken_and_nothing_else() {
    let nested = zip(&[stored("report.json", b"inner")]);
    let entries = [
        deflated("report.json", b"{}"),
        stored("journal.jsonl", b"j"),
        stored("evidence.zip", &nested),
        stored("v1.34.0/", b""),
        stored("v1.34.0/report.json", b"another"),
        stored("Report.json", b"another"),
    ];
    let mut unpacked = unpacked(&entries).unwrap();
    assert_eq!(unpacked.take("report.json").as_deref(), Some(&b"{}"[..]));
    assert_eq!(unpacked.take("journal.jsonl").as_deref(), Some(&b"j"[..]));
    assert_eq!(unpacked, Unpacked::default());
}

#[test]
fn what_a_library_writes_is_read() {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("plan.json", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(b"{}").unwrap();
    let archive = writer.finish().unwrap();
    assert_eq!(unpack(archive).unwrap().take("plan.json").as_deref(), Some(&b"{}"[..]));
}

#[test]
fn a_name_that_leads_elsewhere_refuses_the_archive() {
    let names = [
        "../report.json",
        "a/../../b",
        "/etc/passwd",
        "a//b",
        "./report.json",
        "C:\\report.json",
        "c:report.json",
        "a\\b",
        "",
        "..",
        "a\nb",
        "a/..",
    ];
    for name in names {
        let entries = [stored("report.json", b"{}"), stored(name, b"x")];
        assert!(matches!(unpacked(&entries), Err(Refused::Entry(_, _))), "{name:?}");
    }
    let long = stored(&"a".repeat(5_000), b"x");
    assert!(matches!(unpacked(&[long]), Err(Refused::Entry(name, _)) if name.len() <= MAX_NAME));
}

#[test]
fn a_name_that_is_not_utf8_refuses_the_archive() {
    let odd = Entry { name: b"r\xe9sum\xe9".to_vec(), flags: 0, ..stored("x", b"") };
    assert_eq!(refusal(&[odd]), "its entry \"r\u{fffd}sum\u{fffd}\" has a name that is not UTF-8");
}

#[test]
fn links_and_devices_refuse_the_archive() {
    for mode in [0o120_777, 0o060_644, 0o010_644, 0o140_644] {
        let link = Entry { mode, ..stored("report.json", b"/etc/passwd") };
        assert_eq!(refusal(&[link]), "its entry \"report.json\" is neither a file nor a folder");
    }
}

#[test]
fn two_entries_of_one_name_refuse_the_archive() {
    let entries = [stored("report.json", b"good"), stored("x", b""), stored("report.json", b"evil")];
    assert_eq!(unpacked(&entries), Err(Refused::SameNames));
}

#[test]
fn a_bomb_is_not_unpacked_whatever_its_headers_say() {
    let zeros = vec![b' '; 4 << 20];
    let bomb = deflated("report.json", &zeros);
    assert!(bomb.packed.len() < 64 << 10);
    assert!(refusal(&[bomb]).starts_with("its report.json unpacks to more than"));
    for size in [0, 10, u32::MAX] {
        let liar = Entry { size, ..deflated("report.json", &zeros) };
        assert!(unpacked(&[liar]).is_err(), "a size of {size}");
    }
    let long = Entry { size: u32::MAX, ..stored("journal.jsonl", b"x") };
    assert!(refusal(&[long]).contains("unpacks to more than"));
}

#[test]
fn damage_is_found() {
    let wrong_sum = Entry { crc: 1, ..stored("report.json", b"{}") };
    assert!(refusal(&[wrong_sum]).starts_with("its report.json can't be unpacked: "));
    let encrypted = Entry { flags: 0x801, ..stored("report.json", b"{}") };
    assert_eq!(refusal(&[encrypted]), "its report.json is encrypted");
    let unknown = Entry { method: 93, ..stored("report.json", b"{}") };
    assert_eq!(refusal(&[unknown]), "its report.json is compressed in a way that artifacts are not");
    for bytes in [&b""[..], b"PK", b"not an archive", &vec![0; 70_000]] {
        assert!(matches!(unpack(Cursor::new(bytes)), Err(Refused::NotZip(_))));
    }
}

#[test]
fn too_many_entries_are_refused_and_a_long_directory_is_not_read_to_its_end() {
    let entries: Vec<_> = (0..301).map(|index| stored(&format!("{index}{}", "x".repeat(100)), b"")).collect();
    let bytes = zip(&entries);
    let tried = |entries, directory| within(Bounds { entries, directory }, Cursor::new(&bytes));
    assert_eq!(tried(301, MIB), Ok(Unpacked::default()));
    assert_eq!(tried(300, MIB), Err(Refused::TooManyEntries(300)));
    assert!(matches!(tried(301, 20_000), Err(Refused::NotZip(_))));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_take_more_than_they_may(
        cut in 0_usize..400, at in 0_usize..400, byte: u8, content in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut bytes = zip(&[deflated("report.json", &content), stored("plan.json", b"{}"), stored("a/b", b"x")]);
        let place = at % bytes.len();
        bytes[place] = byte;
        bytes.truncate(bytes.len().saturating_sub(cut % 40));
        if let Ok(mut unpacked) = unpack(Cursor::new(bytes)) {
            let length = unpacked.take("report.json").map_or(0, |content| content.len());
            prop_assert!(length as u64 <= 64 * MIB);
        }
    }

    #[test]
    fn a_plain_path_stays_below_any_folder(path in "[a.b/\\\\: ]{1,8}") {
        if is_plain(&path).is_ok() {
            let mut depth = 0_i32;
            for part in std::path::Path::new(&path).components() {
                prop_assert!(matches!(part, std::path::Component::Normal(_)), "{}", path);
                depth += 1;
            }
            prop_assert!(depth > 0);
        }
    }
}
