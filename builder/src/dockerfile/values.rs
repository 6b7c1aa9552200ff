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

/// Whether it is an octal mode up to 7777, or a symbolic one such as `u+x,go-w`.
pub(super) fn is_mode(text: &str) -> bool {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return u32::from_str_radix(text, 8).is_ok_and(|mode| mode <= 0o7777);
    }
    !text.is_empty()
        && text.split(',').all(|clause| {
            let clause = clause.trim_start_matches(['u', 'g', 'o', 'a']);
            clause.starts_with(['+', '-', '='])
                && clause.chars().all(|c| {
                    matches!(
                        c,
                        '+' | '-' | '=' | 'r' | 'w' | 'x' | 'X' | 's' | 't' | 'u' | 'g' | 'o'
                    )
                })
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
            assert!(is_mode(good), "{good}");
        }
        for bad in ["", "64a", "10000", "8", "rw", "u", "u+q"] {
            assert!(!is_mode(bad), "{bad}");
        }
        for good in ["9", "KILL", "SIGTERM", "sigquit", "RTMIN+3", "SIGRTMAX"] {
            assert!(is_signal(good), "{good}");
        }
        for bad in ["", "0", "-1", "SIGFOO", "RTMIN+99", "RTMIN3"] {
            assert!(!is_signal(bad), "{bad}");
        }
    }
}
