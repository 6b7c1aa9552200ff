//! Small things that several files here need.

use std::sync::{Mutex, MutexGuard, PoisonError};

use url::Url;

/// The most of another's words that is shown, in characters.
const MAX_WORDS: usize = 240;

/// Another's words for showing: one line, no control characters, not long.
pub(super) fn plain(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A URL for showing: without query, user and fragment, where secrets may be.
pub(super) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    plain(&format!("{}://{host}{port}{}", url.scheme(), url.path()))
}

/// What a poisoned lock guards here is whole at any time: a thread that panicked is reported by its
/// own join.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads `0-1023` or `bytes=0-1023`, of which it returns the end, exclusive. Docker's registry says
/// `0-0` of an upload that has nothing yet.
pub(super) fn end_of_range(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_prefix("bytes=").unwrap_or(text);
    let (start, end) = text.split_once('-')?;
    if start.trim() != "0" {
        return None;
    }
    match end.trim().parse::<u64>().ok()? {
        0 => Some(0),
        end => end.checked_add(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_what_may_be_secret() {
        let url = Url::parse("https://u:p@reg.example:1/v2/a?token=s#f");
        assert_eq!(
            url.as_ref().map(shown),
            Ok("https://reg.example:1/v2/a".to_owned())
        );
    }

    #[test]
    fn ranges_are_read() {
        for (text, end) in [
            ("0-1023", Some(1024)),
            ("bytes=0-9", Some(10)),
            ("0-0", Some(0)),
            ("5-9", None),
            ("0-", None),
            ("x", None),
            ("0-18446744073709551615", None),
        ] {
            assert_eq!(end_of_range(text), end, "{text}");
        }
    }
}
