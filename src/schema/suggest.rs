//! "Did you mean": the known word that a misspelt one is closest to.

/// The word among `known` that `found` was most likely meant to be, if any is close enough: at most one edit in three
/// characters (an edit is a character added, left out, changed, or swapped with its neighbour), or the same but for case.
#[must_use]
pub fn closest<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let bound = found.chars().count().div_ceil(3).min(3);
    known
        .filter(|word| word.len().abs_diff(found.len()) <= bound * 4)
        .map(|word| {
            let same = word.eq_ignore_ascii_case(found);
            (if same { 0 } else { strsim::damerau_levenshtein(found, word) }, word)
        })
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn the_nearest_word_is_suggested() {
        let known = ["mountPath", "mountPropagation", "name", "subPath"];
        assert_eq!(closest("moutnPath", known.into_iter()), Some("mountPath"));
        assert_eq!(closest("MOUNTPATH", known.into_iter()), Some("mountPath"));
        assert_eq!(closest("nam", known.into_iter()), Some("name"));
    }

    #[test]
    fn nothing_is_suggested_when_nothing_is_near() {
        assert_eq!(closest("foo", ["mountPath", "name"].into_iter()), None);
    }
}
