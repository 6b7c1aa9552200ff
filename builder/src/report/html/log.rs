use std::collections::VecDeque;

use super::markup;

/// Bytes kept of the beginning of a log, and of its end. The beginning says what was wanted, the end
/// what came of it.
const HEAD: usize = 64 << 10;
const TAIL: usize = 192 << 10;
/// Counted for an entry beside its text: a line break, or the markup of a heading.
const OVERHEAD: usize = 16;

/// What was printed about one image, within bounds.
#[derive(Debug, Default)]
pub(super) struct Log {
    head: Vec<Entry>,
    head_bytes: usize,
    tail: VecDeque<Entry>,
    tail_bytes: usize,
    lost: Lost,
}

/// One line of a log, or what stands between its lines.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    /// A step, or another try, began here.
    Heading {
        /// Seconds since the run began.
        at: f64,
        text: String,
    },
    Line(String),
}

impl Entry {
    fn bytes(&self) -> usize {
        let (Self::Heading { text, .. } | Self::Line(text)) = self;
        text.len() + OVERHEAD
    }
}

/// What was left out, between the beginning and the end.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Lost {
    pub(super) lines: usize,
    /// The last heading among it: what follows belongs below it.
    pub(super) heading: Option<Entry>,
}

impl Lost {
    fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Heading { .. } => self.heading = Some(entry.clone()),
            Entry::Line(_) => self.lines += 1,
        }
    }
}

/// As much of a log as is shown.
#[derive(Debug)]
pub(super) struct Excerpt<'a> {
    pub(super) head: Vec<&'a Entry>,
    pub(super) lost: Lost,
    pub(super) tail: Vec<&'a Entry>,
}

impl Log {
    pub(super) fn heading(&mut self, at: f64, text: &str) {
        let text = markup::shortened(text, 400);
        self.push(Entry::Heading { at, text });
    }

    pub(super) fn line(&mut self, text: &str) {
        self.push(Entry::Line(markup::line(text)));
    }

    fn push(&mut self, entry: Entry) {
        let bytes = entry.bytes();
        if self.tail.is_empty() && self.head_bytes + bytes <= HEAD {
            self.head_bytes += bytes;
            self.head.push(entry);
            return;
        }
        self.tail_bytes += bytes;
        self.tail.push_back(entry);
        while self.tail_bytes > TAIL
            && let Some(oldest) = self.tail.pop_front()
        {
            self.tail_bytes -= oldest.bytes();
            self.lost.take(&oldest);
        }
    }

    /// Bytes that showing all that was kept takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.head_bytes + self.tail_bytes
    }

    /// Lines there were, the lost ones among them.
    pub(super) fn lines(&self) -> usize {
        let line = |entry: &&Entry| matches!(entry, Entry::Line(_));
        self.entries().filter(line).count() + self.lost.lines
    }

    fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.head.iter().chain(&self.tail)
    }

    /// The beginning and the end, of about `most` bytes together.
    pub(super) fn excerpt(&self, most: usize) -> Excerpt<'_> {
        if self.bytes() <= most {
            return Excerpt {
                head: self.head.iter().collect(),
                lost: self.lost.clone(),
                tail: self.tail.iter().collect(),
            };
        }
        let fits = |room: usize| {
            let mut used = 0;
            move |entry: &&Entry| {
                used += entry.bytes();
                used <= room
            }
        };
        let head: Vec<_> = self.head.iter().take_while(fits(most / 4)).collect();
        let rest = self.entries().skip(head.len());
        let mut tail: Vec<_> = self
            .entries()
            .rev()
            .take(self.head.len() + self.tail.len() - head.len())
            .take_while(fits(most - most / 4))
            .collect();
        tail.reverse();
        let between = self.head.len() + self.tail.len() - head.len() - tail.len();
        let mut lost = Lost {
            lines: self.lost.lines,
            heading: None,
        };
        // What was lost earlier lay between the two lists.
        for (i, entry) in rest.take(between).map(Some).chain([None]).enumerate() {
            if head.len() + i == self.head.len() && self.lost.heading.is_some() {
                lost.heading.clone_from(&self.lost.heading);
            }
            if let Some(entry) = entry {
                lost.take(entry);
            }
        }
        Excerpt { head, lost, tail }
    }

    /// The last lines below the last heading, and that heading.
    pub(super) fn end(&self, lines: usize) -> (Option<&str>, Vec<&str>) {
        let mut end = Vec::new();
        for entry in self.entries().rev() {
            match entry {
                Entry::Heading { text, .. } => {
                    end.reverse();
                    return (Some(text), end);
                }
                Entry::Line(text) if end.len() < lines => end.push(text.as_str()),
                Entry::Line(_) => {}
            }
        }
        end.reverse();
        (None, end)
    }
}

/// How many bytes each of several logs may take, so that all take no more than `most`: short ones are
/// shown whole, and long ones share what is left.
pub(super) fn shares(sizes: &[usize], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|i| sizes[*i]);
    let mut shares = vec![0; sizes.len()];
    let mut left = most;
    for (done, i) in order.iter().enumerate() {
        let fair = left / (sizes.len() - done);
        shares[*i] = sizes[*i].min(fair);
        left -= shares[*i];
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: usize) -> Log {
        let mut log = Log::default();
        for step in 0..10 {
            log.heading(f64::from(step), &format!("[{step}/10] RUN"));
            for line in 0..lines / 10 {
                log.line(&format!("{step} {line:050}"));
            }
        }
        log
    }

    #[test]
    fn a_short_log_is_whole() {
        let log = log(100);
        let excerpt = log.excerpt(usize::MAX);
        assert_eq!(excerpt.head.len() + excerpt.tail.len(), 110);
        assert_eq!(excerpt.lost, Lost::default());
        assert_eq!(log.lines(), 100);
    }

    #[test]
    fn a_long_log_keeps_its_ends_and_says_what_is_missing() {
        let log = log(100_000);
        assert!(log.bytes() <= HEAD + TAIL);
        assert_eq!(log.lines(), 100_000);
        for most in [usize::MAX, 100_000, 1_000] {
            let Excerpt { head, lost, tail } = log.excerpt(most);
            assert!(matches!(head[0], Entry::Heading { at: 0.0, .. }));
            assert!(
                matches!(tail.last(), Some(Entry::Line(text)) if text.starts_with("9 ") && text.ends_with("9999"))
            );
            let shown = head.iter().chain(&tail);
            let shown = shown.filter(|e| matches!(e, Entry::Line(_))).count();
            assert_eq!(shown + lost.lines, 100_000);
            assert_eq!(
                lost.heading,
                Some(Entry::Heading {
                    at: 9.0,
                    text: "[9/10] RUN".into()
                })
            );
        }
    }

    #[test]
    fn the_end_is_that_of_the_last_step() {
        let mut log = log(100);
        assert_eq!(log.end(3).0, Some("[9/10] RUN"));
        assert_eq!(log.end(3).1.len(), 3);
        log.heading(11.0, "[10/10] CMD");
        assert_eq!(log.end(3), (Some("[10/10] CMD"), Vec::new()));
    }

    #[test]
    fn room_is_shared_fairly() {
        assert_eq!(shares(&[10, 500, 20, 400], 10_000), [10, 500, 20, 400]);
        assert_eq!(shares(&[10, 500, 20, 400], 330), [10, 150, 20, 150]);
        assert_eq!(shares(&[], 330), [0; 0]);
    }
}
