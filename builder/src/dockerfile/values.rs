//! Values that are checked when they hold no variable: durations, ports, modes, signals.

use std::time::Duration;

/// Reads a duration as Go writes it, `1m30s`; at least a millisecond, or nothing at all for zero.
pub(super) fn duration(text: &str) -> Result<Option<Duration>, &'static str> {
    const WRONG: &str = "it is no duration";
    let mut rest = text;
    if let Some(positive) = rest.strip_prefix('+') {
        rest = positive;
    }
    if rest == "0" {
        return Ok(None);
    }
    if rest.starts_with('-') {
        return Err("it is negative");
    }
    if rest.is_empty() {
        return Err(WRONG);
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or("its unit is missing")?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err("its unit is not known"),
        };
        nanos = scale(number, unit)
            .and_then(|part| nanos.checked_add(part))
            .filter(|nanos| i64::try_from(*nanos).is_ok())
            .ok_or(WRONG)?;
        rest = tail;
    }
    match nanos {
        0 => Ok(None),
        1..1_000_000 => Err("it is less than a millisecond"),
        _ => Ok(Some(Duration::from_nanos(nanos))),
    }
}

/// A decimal number times a unit, in whole nanoseconds.
fn scale(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut result = whole.checked_mul(unit)?;
    let mut part = unit;
    for digit in fraction.bytes() {
        part /= 10;
        result = result.checked_add(part * u64::from(digit - b'0'))?;
    }
    Some(result)
}

/// Whether it is `[[IP:]PORT[-PORT]:]PORT[-PORT][/tcp|udp|sctp]`.
pub(super) fn is_port(text: &str) -> bool {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let good = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => first <= last,
            _ => false,
        }
    };
    let container = ports.rsplit(':').next().unwrap_or(ports);
    matches!(
        protocol.to_ascii_lowercase().as_str(),
        "" | "tcp" | "udp" | "sctp"
    ) && good(container)
}

/// The permissions of `--chmod`: octal up to 7777, or symbolic such as `u+x,go-w`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMode(Change);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Octal(u32),
    Symbolic(Vec<Clause>),
}

/// `go-w`, `a=rX`: whom it is about, as bits of 0o7, and what is done in order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    who: Vec<char>,
    actions: Vec<(char, String)>,
}

impl FileMode {
    /// Reads it; nothing if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok()?;
            return (mode <= 0o7777).then_some(Self(Change::Octal(mode)));
        }
        let clauses = text.split(',').map(clause).collect::<Option<Vec<_>>>()?;
        Some(Self(Change::Symbolic(clauses)))
    }

    /// The permissions of a file that had `mode`, both with the bits of 0o7777.
    pub fn apply(&self, mode: u32, is_folder: bool) -> u32 {
        let clauses = match &self.0 {
            Change::Octal(mode) => return *mode,
            Change::Symbolic(clauses) => clauses,
        };
        clauses.iter().fold(mode, |mode, clause| {
            let actions = clause.actions.iter();
            actions.fold(mode, |mode, (sign, what)| {
                clause.change(mode, *sign, what, is_folder)
            })
        })
    }
}

impl Clause {
    fn change(&self, mode: u32, sign: char, what: &str, is_folder: bool) -> u32 {
        let (mut bits, mut cleared) = (0, 0);
        for who in &self.who {
            let (shift, special) = match who {
                'u' => (6, 0o4000),
                'g' => (3, 0o2000),
                _ => (0, 0),
            };
            cleared |= 0o7 << shift | special;
            for c in what.chars() {
                bits |= match c {
                    'r' => 0o4 << shift,
                    'w' => 0o2 << shift,
                    'x' => 0o1 << shift,
                    'X' if is_folder || mode & 0o111 != 0 => 0o1 << shift,
                    's' => special,
                    // As BuildKit has it: not when it is about others alone.
                    't' if self.who.iter().any(|who| *who != 'o') => 0o1000,
                    'u' => (mode >> 6 & 0o7) << shift,
                    'g' => (mode >> 3 & 0o7) << shift,
                    'o' => (mode & 0o7) << shift,
                    _ => 0,
                };
            }
        }
        match sign {
            '+' => mode | bits,
            '-' => mode & !bits,
            _ => mode & !cleared | bits,
        }
    }
}

fn clause(text: &str) -> Option<Clause> {
    let start = text.find(['+', '-', '='])?;
    let who = &text[..start];
    if !who.chars().all(|c| matches!(c, 'u' | 'g' | 'o' | 'a')) {
        return None;
    }
    let mut people: Vec<char> = who.chars().filter(|c| *c != 'a').collect();
    if who.is_empty() || who.contains('a') {
        people = vec!['u', 'g', 'o'];
    }
    let mut actions: Vec<(char, String)> = Vec::new();
    for c in text[start..].chars() {
        match (c, actions.last_mut()) {
            ('+' | '-' | '=', _) => actions.push((c, String::new())),
            ('r' | 'w' | 'x' | 'X' | 's' | 't' | 'u' | 'g' | 'o', Some((_, what))) => what.push(c),
            _ => return None,
        }
    }
    Some(Clause {
        who: people,
        actions,
    })
}

/// Linux's signals by name.
pub(super) const SIGNALS: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// Whether it is a signal's number, or its name with or without `SIG`.
pub(super) fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u32>() {
        return number > 0;
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str, sign: char, most: u32| {
        name.strip_prefix(prefix).is_some_and(|rest| {
            rest.is_empty()
                || rest
                    .strip_prefix(sign)
                    .and_then(|n| n.parse().ok())
                    .is_some_and(|n: u32| (1..=most).contains(&n))
        })
    };
    SIGNALS.contains(&name) || real_time("RTMIN", '+', 15) || real_time("RTMAX", '-', 14)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, millis) in [
            ("30s", Ok(Some(30_000))),
            ("1m30s", Ok(Some(90_000))),
            ("1.5h", Ok(Some(5_400_000))),
            (".5s", Ok(Some(500))),
            ("1ms", Ok(Some(1))),
            ("0", Ok(None)),
            ("0s", Ok(None)),
            ("+2s", Ok(Some(2_000))),
            ("1", Err(())),
            ("", Err(())),
            ("s", Err(())),
            (".s", Err(())),
            ("1.2.3s", Err(())),
            ("-1s", Err(())),
            ("1d", Err(())),
            ("999us", Err(())),
            ("99999999999999999999h", Err(())),
            ("9999999999h", Err(())),
        ] {
            let found = duration(text)
                .map(|d| d.map(|d| d.as_millis()))
                .map_err(|_| ());
            assert_eq!(found, millis, "{text}");
        }
    }

    #[test]
    fn modes_are_changed() {
        for (change, mode, is_folder, expected) in [
            ("0750", 0o4644, false, 0o750),
            ("u+x,go-r", 0o644, false, 0o700),
            ("a=rX", 0o700, true, 0o555),
            ("a+X", 0o600, false, 0o600),
            ("+x", 0o644, false, 0o755),
            ("u+s,g+s,+t", 0o755, false, 0o7755),
            ("g=u", 0o740, false, 0o770),
            ("u=rwx,o=", 0o4647, false, 0o740),
            ("o+w-x", 0o755, false, 0o756),
        ] {
            let found = FileMode::parse(change).unwrap().apply(mode, is_folder);
            assert_eq!(found, expected, "{change}: {found:o}");
        }
    }

    #[test]
    fn ports_modes_and_signals_are_checked() {
        for good in [
            "80",
            "80/tcp",
            "80/UDP",
            "8000-8010",
            "1:2",
            "127.0.0.1:80:81/sctp",
        ] {
            assert!(is_port(good), "{good}");
        }
        for bad in ["", "http", "80/icmp", "70000", "9-8", "80,81"] {
            assert!(!is_port(bad), "{bad}");
        }
        for good in ["644", "0755", "7777", "u+x", "a=rX,go-w", "+x", "u=g"] {
            assert!(FileMode::parse(good).is_some(), "{good}");
        }
        for bad in ["", "64a", "10000", "8", "rw", "u", "u+q"] {
            assert!(FileMode::parse(bad).is_none(), "{bad}");
        }
        for good in ["9", "KILL", "SIGTERM", "sigquit", "RTMIN+3", "SIGRTMAX"] {
            assert!(is_signal(good), "{good}");
        }
        for bad in ["", "0", "-1", "SIGFOO", "RTMIN+99", "RTMIN3"] {
            assert!(!is_signal(bad), "{bad}");
        }
    }
}
