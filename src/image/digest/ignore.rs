//! What `.dockerignore` leaves out of a build's context. Pure.
//!
//! Source: `ignorefile.go` and `patternmatcher.go` of <https://github.com/moby/patternmatcher>, which BuildKit walks a context
//! with. The rules are neither those of git nor those of globset: a pattern is anchored at the context's root, matches a folder
//! with all that is below it, and the last pattern that matches wins; `**` matches slashes, and so do the letters before the
//! end of `**file`. Hence each pattern becomes a regular expression as it does there.

use regex::Regex;

/// The patterns of a file, in their order.
#[derive(Debug, Default)]
pub(super) struct Ignore(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    regex: Regex,
    /// Whether it begins with `!`: what it matches is sent after all.
    is_exception: bool,
}

/// Which patterns matched a folder: what is in it is matched by them too.
#[derive(Clone, Debug, Default)]
pub(super) struct Matches(Vec<bool>);

impl Ignore {
    /// Reads the text of a `.dockerignore`. A pattern that Docker can't read leaves nothing out here: the build says that it is wrong.
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines();
        Self(lines.filter(|line| !line.starts_with('#')).filter_map(pattern).collect())
    }

    /// Whether something in a folder that is left out may be sent after all.
    pub(super) fn has_exceptions(&self) -> bool {
        self.0.iter().any(|pattern| pattern.is_exception)
    }

    /// Whether `path`, relative to the context, is left out; and what its own content needs to know. `folder` is the answer for
    /// the folder that it is in.
    pub(super) fn look(&self, path: &str, folder: &Matches) -> (bool, Matches) {
        let mut is_out = false;
        let mut matches = vec![false; self.0.len()];
        for (place, pattern) in self.0.iter().enumerate() {
            let inherited = folder.0.get(place).is_some_and(|matched| *matched);
            // As there: what can't change the answer is not looked at, and then not inherited either.
            if inherited || (pattern.is_exception == is_out && pattern.regex.is_match(path)) {
                matches[place] = true;
                is_out = !pattern.is_exception;
            }
        }
        (is_out, Matches(matches))
    }
}

fn pattern(line: &str) -> Option<Pattern> {
    let line = line.trim();
    let (is_exception, line) = match line.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, line),
    };
    let clean = cleaned(line);
    let regex = Regex::new(&expression(&clean)).ok().filter(|_| !clean.is_empty())?;
    Some(Pattern { regex, is_exception })
}

/// The pattern without a `/` at its ends, `.` and `..`, as Go's `filepath.Clean` writes it below the root.
fn cleaned(pattern: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in pattern.split('/') {
        match segment {
            "" | "." => {}
            ".." if segments.last().is_some_and(|last| *last != "..") => {
                segments.pop();
            }
            ".." if pattern.starts_with('/') => {}
            other => segments.push(other),
        }
    }
    segments.join("/")
}

/// The regular expression of a cleaned pattern.
fn expression(pattern: &str) -> String {
    let is_plain = |text: &str| !text.contains(['*', '?', '[', ']', '\\']);
    if let Some(end) = pattern.strip_prefix("**").filter(|end| is_plain(end)) {
        let escaped = regex::escape(end.strip_prefix('/').unwrap_or(end));
        return if end.starts_with('/') { format!("^(?s:.*/)?{escaped}$") } else { format!("(?s){escaped}$") };
    }
    let mut text = String::from("^");
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                text.push_str(if rest.peek().is_none() { "(?s:.*)" } else { "(?s:.*/)?" });
            }
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '\\' => {
                let escaped = rest.next().unwrap_or('\\');
                text.push_str(&regex::escape(&escaped.to_string()));
            }
            '[' => class(&mut rest, &mut text),
            other => text.push_str(&regex::escape(&other.to_string())),
        }
    }
    text.push('$');
    text
}

/// A class to its end, in the words of this regex engine, which knows more operators inside of one than Go's.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, text: &mut String) {
    text.push('[');
    if rest.next_if_eq(&'^').is_some() {
        text.push('^');
    }
    while let Some(character) = rest.next() {
        match character {
            ']' => {
                text.push(']');
                return;
            }
            '-' => text.push('-'),
            '\\' => text.push_str(&literal(rest.next().unwrap_or('\\'))),
            other => text.push_str(&literal(other)),
        }
    }
}

fn literal(character: char) -> String {
    if character.is_alphanumeric() { character.to_string() } else { format!("\\x{{{:x}}}", u32::from(character)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether a context with these patterns lacks the file, each folder above it being asked first.
    fn is_out(patterns: &str, file: &str) -> bool {
        let ignore = Ignore::parse(patterns);
        let ends = file.match_indices('/').map(|(at, _)| at).chain([file.len()]);
        ends.fold((false, Matches::default()), |(_, folder), end| ignore.look(&file[..end], &folder)).0
    }

    #[test]
    fn single_patterns_match_as_docker_says() {
        // Most are rows of patternmatcher_test.go.
        for (pattern, file, expected) in [
            ("**", "dir/file", true),
            ("**/", "file", true),
            ("**/**", "dir/file", true),
            ("dir/**", "dir/dir2/file", true),
            ("**/dir", "dir/file", true),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**file", "dir/dir/file", true),
            ("**file", "dir/a-file", true),
            ("**/file", "dir/a-file", false),
            ("**/file*txt", "dir/dir/file.txt", true),
            ("**/**/*.txt2", "dir/dir/file.txt", false),
            ("a**/*.txt", "a/dir/file.txt", true),
            ("a/*.txt", "a/dir/file.txt", false),
            ("a/*.txt**", "a/file.txt", true),
            ("a[b-d]e", "ace", true),
            ("a[b-d]e", "aae", false),
            ("a[^b-d]e", "aze", true),
            (".*", ".foo", true),
            (".*", "foo", false),
            ("abc.def", "abcZdef", false),
            ("abc?def", "abcZdef", true),
            ("a\\\\", "a\\", true),
            ("abc/**", "abc", false),
            ("**/.foo", "bar.foo", false),
            ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
            ("dist/*.whl", "dist/x-2.4.0+g08.whl", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "acb", false),
            ("[&&x]", "&", true),
            ("/docs", "docs/a.md", true),
            ("docs/", "docs/a.md", true),
            ("./docs/../src", "src/a", true),
            ("docs", "src/docs", false),
            ("*.md", "src/a.md", false),
            ("[", "[", false),
            ("", "a", false),
            ("# a", "# a", false),
            (" a ", "a", true),
            ("!", "a", false),
        ] {
            assert_eq!(is_out(pattern, file), expected, "{pattern} {file}");
        }
    }

    #[test]
    fn the_last_pattern_that_matches_wins() {
        for (patterns, file, expected) in [
            ("*.md\n!README.md", "README.md", false),
            ("*.md\n!README.md", "OTHER.md", true),
            ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
            ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
            ("a\n!a/b", "a/b/c", false),
            ("a\n!a/b", "a/c", true),
            ("!a/b\na", "a/b", true),
            ("**\n!src\n!src/**", "src/x/y", false),
            ("*\n! keep ", "keep", false),
        ] {
            assert_eq!(is_out(patterns, file), expected, "{patterns:?} {file}");
        }
    }

    #[test]
    fn a_mark_of_the_encoding_and_line_ends_of_windows_are_no_part_of_a_pattern() {
        assert!(is_out("\u{feff}a\r\nb\r\n", "a") && is_out("\u{feff}a\r\nb\r\n", "b"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(patterns in "(\\PC|\n){0,40}", file in "[a-z./]{1,12}") {
            is_out(&patterns, &file);
        }

        #[test]
        fn a_name_leaves_out_itself_and_all_below_and_nothing_else(
            name in "[a-z]{1,4}(/[a-z.+()$-]{1,4}[a-z]){0,2}", below in "[a-z]{1,4}", other in "[A-Z]{1,4}",
        ) {
            let below = format!("{name}/{below}");
            let taken_back = format!("{name}\n!{name}");
            for file in [&name, &below] {
                prop_assert!(is_out(&name, file));
                prop_assert!(!is_out(&taken_back, file));
            }
            let others = [format!("{name}{other}"), other.clone(), format!("{other}/{name}")];
            for file in &others {
                prop_assert!(!is_out(&name, file));
            }
        }

        #[test]
        fn two_stars_and_a_name_find_it_at_any_depth(
            name in "[a-z]{1,4}", folders in "([a-z]{1,3}/){0,4}",
        ) {
            let found = is_out(&format!("**/{name}"), &format!("{folders}{name}"));
            prop_assert!(found);
        }
    }
}
