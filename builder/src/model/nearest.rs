/// The candidate most like `name`, if one is close enough to be a slip of the keyboard.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .filter(|(distance, candidate)| {
            *distance <= limit || (name.len() > 3 && candidate.starts_with(name))
        })
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?", or else the whole list where it is short enough to be read.
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let mut all: Vec<&str> = candidates.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    match nearest(name, all.iter().copied()) {
        Some(candidate) => Some(format!("did you mean `{candidate}`?")),
        None if all.is_empty() => None,
        None if all.len() <= 12 => Some(format!("there is: {}", all.join(", "))),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name() {
        let names = ["keystone", "glance-api", "nova-api"];
        assert_eq!(nearest("keystoen", names), Some("keystone"));
        assert_eq!(nearest("glance", names), Some("glance-api"));
        assert_eq!(nearest("zebra", names), None);
    }

    #[test]
    fn a_short_list_is_shown_whole() {
        assert_eq!(
            did_you_mean("zebra", ["b", "a"]).as_deref(),
            Some("there is: a, b")
        );
        assert_eq!(did_you_mean("zebra", []), None);
    }
}
