//! What a Dockerfile says of itself: its bases, and whether it needs BuildKit. Pure.
//!
//! Source: <https://docs.docker.com/reference/dockerfile/>; what the builder without BuildKit lacks is marked there.

use std::collections::BTreeMap;

use crate::image_reference::ImageReference;

/// The instructions of a Dockerfile: comments left out, lines that go on put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    instructions: Vec<Instruction>,
    /// Whether it asks for a version of its own syntax (`# syntax=...`), which is an image that BuildKit runs.
    has_syntax: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Instruction {
    /// In capitals: `FROM`.
    name: String,
    rest: String,
    /// Where it begins, from 1.
    line: u32,
}

/// Something that only BuildKit can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// What: `RUN --mount`.
    pub what: String,
    /// Where, from 1.
    pub line: u32,
}

impl Dockerfile {
    /// Reads one. There is no wrong one here: the build says what is wrong.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut read = Self { has_syntax: has_syntax(text), ..Self::default() };
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            let mut whole = line.trim().to_owned();
            if whole.is_empty() || whole.starts_with('#') {
                continue;
            }
            while whole.ends_with('\\') {
                whole.pop();
                // Comments and empty lines do not end what goes on.
                let more = lines.by_ref().map(|(line, _)| line.trim()).find(|line| !line.starts_with('#'));
                let Some(more) = more else { break };
                whole.push(' ');
                whole.push_str(more);
            }
            let (name, rest) = whole.split_once(char::is_whitespace).unwrap_or((&whole, ""));
            let (name, rest) = (name.to_ascii_uppercase(), rest.trim().to_owned());
            if let Some(end) = here_document(&name, &rest) {
                // Its text is no instruction.
                let _ = lines.by_ref().find(|(line, _)| line.trim() == end);
            }
            read.instructions.push(Instruction { name, rest, line: number });
        }
        read
    }

    /// The images that its stages are built from, `args` and the defaults of its own `ARG`s filled in; other stages and
    /// `scratch` are none.
    #[must_use]
    pub fn bases(&self, args: &BTreeMap<String, String>) -> Vec<String> {
        let mut known: BTreeMap<&str, &str> = BTreeMap::new();
        let mut stages: Vec<String> = Vec::new();
        let mut bases = Vec::new();
        for instruction in &self.instructions {
            match instruction.name.as_str() {
                // Only those before the first `FROM` count for it.
                "ARG" if stages.is_empty() => {
                    for word in instruction.rest.split_whitespace() {
                        let (name, default) = word.split_once('=').unwrap_or((word, ""));
                        let given = args.get(name).map(String::as_str);
                        known.insert(name, given.unwrap_or(default.trim_matches(['"', '\''])));
                    }
                }
                "FROM" => {
                    let mut words = instruction.rest.split_whitespace().filter(|word| !word.starts_with("--"));
                    let base = words.next().map(|word| filled(word, &known)).unwrap_or_default();
                    if base != "scratch" && !base.is_empty() && !stages.contains(&base.to_lowercase()) {
                        bases.push(base);
                    }
                    stages.push(words.nth(1).unwrap_or_default().to_lowercase());
                }
                _ => {}
            }
        }
        bases
    }

    /// Those that are named by a digest.
    pub(super) fn pinned_bases(&self, args: &BTreeMap<String, String>) -> Vec<String> {
        let is_pinned = |base: &String| ImageReference::parse(base).is_ok_and(|reference| reference.digest.is_some());
        self.bases(args).into_iter().filter(is_pinned).collect()
    }

    /// The first thing that only BuildKit can do.
    #[must_use]
    pub fn needs_buildkit(&self) -> Option<Needs> {
        if self.has_syntax {
            return Some(Needs { what: "a `# syntax=` line".to_owned(), line: 1 });
        }
        self.instructions.iter().find_map(|instruction| {
            let name = instruction.name.as_str();
            let flags = instruction.rest.split_whitespace().take_while(|word| word.starts_with("--"));
            let flag = flags.map(|word| word.split('=').next().unwrap_or(word)).find(|flag| is_new(name, flag));
            let what = flag.map(|flag| format!("`{name} {flag}`"));
            let here = || here_document(name, &instruction.rest).map(|_| format!("a here-document of `{name}`"));
            what.or_else(here).map(|what| Needs { what, line: instruction.line })
        })
    }
}

/// Whether a flag of an instruction is BuildKit's own.
fn is_new(instruction: &str, flag: &str) -> bool {
    match instruction {
        "RUN" => true,
        "COPY" | "ADD" => !matches!(flag, "--from" | "--chown"),
        _ => false,
    }
}

/// Directives stand before everything else.
fn has_syntax(text: &str) -> bool {
    let directives = text.trim_start_matches('\u{feff}').lines().map_while(|line| line.trim().strip_prefix('#'));
    directives.filter_map(|line| line.split_once('=')).any(|(name, _)| name.trim().eq_ignore_ascii_case("syntax"))
}

/// The word that ends a here-document, if the instruction begins one: `RUN <<EOF`, `COPY <<-"EOF" /x`.
fn here_document(name: &str, rest: &str) -> Option<String> {
    if !matches!(name, "RUN" | "COPY" | "ADD") {
        return None;
    }
    let word = rest.split_whitespace().find_map(|word| word.strip_prefix("<<"))?;
    let word = word.trim_start_matches('-').trim_matches(['"', '\'']);
    let is_word = word.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    is_word.then(|| word.to_owned())
}

/// The text with `$NAME`, `${NAME}` and `${NAME:-default}` filled in.
fn filled(text: &str, known: &BTreeMap<&str, &str>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, tail) = match after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            Some(pair) => pair,
            None => after.split_at(
                after.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(after.len()),
            ),
        };
        let (name, default) = name.split_once(":-").unwrap_or((name, ""));
        out.push_str(known.get(name).copied().filter(|value| !value.is_empty()).unwrap_or(default));
        rest = tail;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_found_with_their_arguments() {
        let text = "ARG BASE=debian:trixie\nARG TAG\nfrom --platform=linux/amd64 $BASE AS one\nARG BASE=other\n\
            FROM ghcr.io/a/b:${TAG:-v1} as two\nFROM one\nFROM scratch\nFROM x:$TAG-slim@sha256:0\nRUN <<EOF\nFROM no\nEOF\n";
        let dockerfile = Dockerfile::parse(text);
        assert_eq!(dockerfile.bases(&BTreeMap::new()), ["debian:trixie", "ghcr.io/a/b:v1", "x:-slim@sha256:0"]);
        let args = BTreeMap::from([("TAG".to_owned(), "v2".to_owned()), ("BASE".to_owned(), "a".to_owned())]);
        assert_eq!(dockerfile.bases(&args), ["a", "ghcr.io/a/b:v2", "x:v2-slim@sha256:0"]);
    }

    #[test]
    fn only_a_digest_pins_a_base() {
        let digest = format!("debian@sha256:{}", "0".repeat(64));
        let dockerfile = Dockerfile::parse(&format!("FROM debian:1\nFROM {digest}\n"));
        assert_eq!(dockerfile.pinned_bases(&BTreeMap::new()), [digest]);
    }

    #[test]
    fn what_only_buildkit_can_do_is_named_with_its_line() {
        for (text, expected) in [
            (
                "FROM a\nRUN true \\\n  # comment\n  && true\nRUN --mount=type=cache,target=/x true\n",
                Some(("`RUN --mount`", 5)),
            ),
            ("FROM a\nCOPY --link a b\n", Some(("`COPY --link`", 2))),
            ("FROM a\ncopy --chown=1 --chmod=755 a b\n", Some(("`COPY --chmod`", 2))),
            ("FROM a\nRUN <<EOF\ntrue\nEOF\n", Some(("a here-document of `RUN`", 2))),
            ("# syntax=docker/dockerfile:1\nFROM a\n", Some(("a `# syntax=` line", 1))),
            ("FROM a\n# syntax=no directive here\nRUN cat <<EOF-less\n", Some(("a here-document of `RUN`", 3))),
            ("FROM a\nRUN echo $((1 << 2)) --mount\nCOPY --from=0 --chown=1 a b\n", None),
        ] {
            let needs = Dockerfile::parse(text).needs_buildkit();
            assert_eq!(needs.as_ref().map(|needs| (needs.what.as_str(), needs.line)), expected, "{text}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in ["", "\\", "FROM", "FROM $", "FROM ${", "RUN <<", "ARG\nFROM ${:-x}", "FROM a\\"] {
            let dockerfile = Dockerfile::parse(text);
            let _ = (dockerfile.bases(&BTreeMap::new()), dockerfile.needs_buildkit());
        }
    }
}
