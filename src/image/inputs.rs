//! What `images[].inputs` of the config means: the plan, which selects by changed files, and the digest read it alike. Pure.

use globset::{Glob, GlobBuilder};

use crate::plan::paths::normal;

/// The globs of an input, relative to the root: an input without a pattern is a file, or a folder as a whole. A glob that can't be
/// read stands for everything.
pub(crate) fn globs(input: &str) -> impl Iterator<Item = Glob> {
    let input = normal(input);
    let patterns = [input.clone(), if input.is_empty() { "**".to_owned() } else { format!("{input}/**") }];
    patterns.into_iter().filter_map(|pattern| {
        let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
        glob.or_else(|_| GlobBuilder::new("**").build()).ok()
    })
}

/// The folder, relative to the root, below which everything is that an input can match: its segments before the first pattern.
pub(crate) fn start(input: &str) -> String {
    let input = normal(input);
    let plain = input.split('/').take_while(|segment| !segment.contains(['*', '?', '[', '{', '\\']));
    plain.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_walked_from_its_last_plain_folder() {
        for (input, expected) in
            [("a/b/**/*.py", "a/b"), ("./a/b", "a/b"), ("*.py", ""), ("a/{b,c}/d", "a"), ("/abs/x*", "/abs"), (".", "")]
        {
            assert_eq!(start(input), expected, "{input}");
        }
    }

    #[test]
    fn an_input_without_a_pattern_is_a_file_or_a_whole_folder() {
        let matches = |input: &str, file: &str| globs(input).any(|glob| glob.compile_matcher().is_match(file));
        for (input, file, expected) in [
            ("shared", "shared", true),
            ("shared/", "shared/lib/x.c", true),
            ("shared", "shared-other/x", false),
            ("a/*.py", "a/b/c.py", false),
            ("a/**/*.py", "a/b/c.py", true),
            (".", "x/y", true),
            ("a[", "anything", true),
        ] {
            assert_eq!(matches(input, file), expected, "{input} {file}");
        }
    }
}
