//! The instructions that change an image's configuration alone. What history tells of each is what
//! BuildKit writes (`frontend/dockerfile/dockerfile2llb/convert.go`).

use std::time::Duration;

use super::super::super::Error;
use super::Builder;
use super::state::{Arg, State};
use crate::dockerfile::{self, Command, Instruction, Kind, Pair};
use crate::oci::spec::Healthcheck;

impl Builder<'_> {
    pub(super) fn meta(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
    ) -> Result<(), Error> {
        match &instruction.kind {
            Kind::Arg(args) => self.arg(state, args)?,
            Kind::Env(pairs) => {
                let pairs = self.pairs(state, pairs)?;
                for (name, value) in &pairs {
                    state.set_env(name, value);
                }
                state.note(format!("ENV{}", joined(&pairs)), false);
            }
            Kind::Label(pairs) => {
                let pairs = self.pairs(state, pairs)?;
                state.note(format!("LABEL{}", joined(&pairs)), false);
                state.config.labels.extend(pairs);
            }
            Kind::Maintainer(name) => {
                state.author = Some(name.text.clone());
                state.note(format!("MAINTAINER {}", name.text), false);
            }
            Kind::User(user) => {
                let user = self.expand(state, user)?;
                state.note(format!("USER {user}"), false);
                state.config.user = user;
            }
            Kind::Volume(paths) => {
                let mut volumes = Vec::new();
                for path in paths {
                    let path = self.expand(state, path)?;
                    if path.is_empty() {
                        return Err(self.refuse(&instruction.span, "VOLUME of an empty path"));
                    }
                    volumes.push(path);
                }
                state.note(format!("VOLUME [{}]", volumes.join(" ")), false);
                state.config.volumes.extend(volumes);
            }
            Kind::Expose(ports) => self.expose(state, ports, instruction)?,
            Kind::Stopsignal(signal) => {
                let signal = self.expand(state, signal)?;
                state.note(format!("STOPSIGNAL {signal}"), false);
                state.config.stop_signal = Some(signal);
            }
            Kind::Shell(words) => {
                let shell: Vec<String> = words.iter().map(|w| w.text.clone()).collect();
                state.note(format!("SHELL [{}]", shell.join(" ")), false);
                state.config.shell = Some(shell);
            }
            Kind::Cmd(command) => {
                let words = words(state, command);
                state.note(format!("CMD {}", quoted(&words)), false);
                state.config.cmd = Some(words);
                state.own_command = true;
            }
            Kind::Entrypoint(command) => {
                let words = words(state, command);
                state.note(format!("ENTRYPOINT {}", quoted(&words)), false);
                state.config.entrypoint = Some(words);
                if !state.own_command {
                    state.config.cmd = None;
                }
            }
            Kind::Healthcheck(check) => {
                let check = healthcheck(state, check);
                state.note(format!("HEALTHCHECK {}", shown(&check)), false);
                state.config.healthcheck = Some(check);
            }
            _ => {
                let name = instruction.kind.name();
                return Err(self.refuse(&instruction.span, format!("{name} is not known here")));
            }
        }
        Ok(())
    }

    fn arg(&self, state: &mut State, args: &[dockerfile::Arg]) -> Result<(), Error> {
        let mut told = String::from("ARG");
        for arg in args {
            let name = &arg.name.text;
            let default = match &arg.default {
                Some(default) => Some(self.expand(state, default)?),
                None => None,
            };
            // What is known of platforms counts where nothing else is said.
            let value = self.request.args.get(name).cloned().or(default);
            let value = value.or_else(|| self.globals.get(name).or(self.args.get(name)).cloned());
            told.push(' ');
            told.push_str(name);
            if let Some(value) = &value {
                told.push('=');
                told.push_str(value);
            }
            let arg = Arg {
                name: name.clone(),
                value,
                hidden: false,
            };
            match state.args.iter_mut().find(|known| known.name == *name) {
                Some(known) => *known = arg,
                None => state.args.push(arg),
            }
        }
        state.note(told, false);
        Ok(())
    }

    fn pairs(&self, state: &State, pairs: &[Pair]) -> Result<Vec<(String, String)>, Error> {
        // All of one instruction see the variables as they were before it.
        let expand = |pair: &Pair| {
            Ok((
                self.expand(state, &pair.name)?,
                self.expand(state, &pair.value)?,
            ))
        };
        pairs.iter().map(expand).collect()
    }

    fn expose(
        &self,
        state: &mut State,
        ports: &[dockerfile::Word],
        instruction: &Instruction,
    ) -> Result<(), Error> {
        let mut all = Vec::new();
        for word in ports {
            for text in self.expand_words(state, word)? {
                let found = expand_ports(&text).ok_or_else(|| {
                    self.refuse(&instruction.span, format!("`{text}` is no port"))
                })?;
                all.extend(found);
            }
        }
        all.sort();
        all.dedup();
        state.note(format!("EXPOSE [{}]", all.join(" ")), false);
        state.config.exposed_ports.extend(all);
        Ok(())
    }
}

/// `8000-8001/udp` as `8000/udp`, `8001/udp`. What is said of the host does not count.
fn expand_ports(text: &str) -> Option<Vec<String>> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let range = range.rsplit(':').next()?;
    let protocol = match protocol.to_ascii_lowercase() {
        protocol if protocol.is_empty() => "tcp".to_owned(),
        protocol => protocol,
    };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return None;
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then(|| {
        (first..=last)
            .map(|port| format!("{port}/{protocol}"))
            .collect()
    })
}

fn words(state: &State, command: &Command) -> Vec<String> {
    match command {
        Command::Shell(line) => state.with_shell(&line.text),
        Command::Exec(words) => words.iter().map(|word| word.text.clone()).collect(),
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    pairs
        .iter()
        .map(|(name, value)| format!(" {name}={value}"))
        .collect()
}

/// A list as Go's `%q` has it.
fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| go_quote(word)).collect();
    format!("[{}]", words.join(" "))
}

/// A text as Go's `strconv.Quote` has it.
fn go_quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn healthcheck(state: &State, check: &dockerfile::Healthcheck) -> Healthcheck {
    let nanos = |duration: &Option<Duration>| {
        duration.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
    };
    match check {
        dockerfile::Healthcheck::None => Healthcheck {
            test: vec!["NONE".to_owned()],
            ..Healthcheck::default()
        },
        dockerfile::Healthcheck::Command {
            command,
            interval,
            timeout,
            start_period,
            start_interval,
            retries,
        } => {
            let test = match command {
                Command::Shell(line) => vec!["CMD-SHELL".to_owned(), line.text.clone()],
                Command::Exec(_) => {
                    let mut test = vec!["CMD".to_owned()];
                    test.extend(words(state, command));
                    test
                }
            };
            Healthcheck {
                test,
                interval: nanos(interval),
                timeout: nanos(timeout),
                start_period: nanos(start_period),
                start_interval: nanos(start_interval),
                retries: retries.map_or(0, i64::from),
            }
        }
    }
}

/// A check as Go's `%q` has the structure that Docker keeps it in.
fn shown(check: &Healthcheck) -> String {
    let duration = |nanos: i64| format!("\"{}\"", go_duration(nanos));
    let retries = match u32::try_from(check.retries).ok().and_then(char::from_u32) {
        Some(c) if (' '..='~').contains(&c) => format!("'{c}'"),
        Some('\u{7}') => "'\\a'".to_owned(),
        Some('\u{8}') => "'\\b'".to_owned(),
        Some('\t') => "'\\t'".to_owned(),
        Some('\n') => "'\\n'".to_owned(),
        Some('\u{b}') => "'\\v'".to_owned(),
        Some('\u{c}') => "'\\f'".to_owned(),
        Some('\r') => "'\\r'".to_owned(),
        Some(c) => format!("'\\x{:02x}'", c as u32),
        None => "'\u{fffd}'".to_owned(),
    };
    format!(
        "&{{{} {} {} {} {} {retries}}}",
        quoted(&check.test),
        duration(check.interval),
        duration(check.timeout),
        duration(check.start_period),
        duration(check.start_interval),
    )
}

/// A duration as Go prints it: `1m30s`.
fn go_duration(nanos: i64) -> String {
    let fraction = |value: i64, unit: i64| {
        let whole = value / unit;
        let digits = unit.ilog10() as usize;
        let rest = format!("{:0digits$}", value % unit);
        match rest.trim_end_matches('0') {
            "" => whole.to_string(),
            rest => format!("{whole}.{rest}"),
        }
    };
    if nanos < 1_000_000_000 {
        return match nanos {
            0 => "0s".to_owned(),
            n if n < 1_000 => format!("{n}ns"),
            n if n < 1_000_000 => format!("{}µs", fraction(n, 1_000)),
            n => format!("{}ms", fraction(n, 1_000_000)),
        };
    }
    let seconds = nanos / 1_000_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = fraction(nanos % 60_000_000_000, 1_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_spelt_out() {
        assert_eq!(expand_ports("80").unwrap(), ["80/tcp"]);
        assert_eq!(expand_ports("127.0.0.1:1:53/UDP").unwrap(), ["53/udp"]);
        assert_eq!(expand_ports("1-3").unwrap().len(), 3);
        assert!(expand_ports("http").is_none() && expand_ports("3-1").is_none());
    }

    #[test]
    fn durations_and_texts_are_those_of_go() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (20_000_000, "20ms"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_661_250_000_000, "1h1m1.25s"),
        ] {
            assert_eq!(go_duration(nanos), text);
        }
        assert_eq!(go_quote("a\"b\\c\n\u{1}ä"), r#""a\"b\\c\n\x01ä""#);
    }
}
