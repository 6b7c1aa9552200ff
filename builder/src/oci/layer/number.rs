//! Numbers as they stand in tars.

use std::io;

/// A field of a header: octal digits among spaces and zero bytes, or a big-endian number in two's
/// complement behind a set bit (GNU's base-256).
pub(super) fn field(bytes: &[u8]) -> io::Result<i64> {
    if let [first, rest @ ..] = bytes
        && first & 0x80 != 0
    {
        // The bit beside the mark is the sign.
        let start = if first & 0x40 == 0 {
            i128::from(first & 0x3f)
        } else {
            i128::from(first & 0x7f) - 0x80
        };
        let mut value = start;
        for byte in rest {
            value = (value << 8) | i128::from(*byte);
            if i64::try_from(value).is_err() {
                return Err(bad("a number is too large"));
            }
        }
        return i64::try_from(value).map_err(|_| bad("a number is too large"));
    }
    let blank = |b: &u8| matches!(b, b' ' | 0);
    let start = bytes.iter().position(|b| !blank(b)).unwrap_or(bytes.len());
    let digits = bytes[start..].split(blank).next().unwrap_or_default();
    if !bytes[start + digits.len()..].iter().all(blank) {
        return Err(bad("a number was expected in a header"));
    }
    let mut value = 0_i64;
    for digit in digits {
        let digit = match digit {
            b'0'..=b'7' => i64::from(digit - b'0'),
            _ => return Err(bad("an octal number was expected in a header")),
        };
        // A field has 12 digits at most, 36 bits.
        value = (value << 3) | digit;
    }
    Ok(value)
}

/// Decimal digits and nothing else.
pub(super) fn decimal(bytes: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    if !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && let Ok(value) = text.parse()
    {
        return Ok(value);
    }
    Err(bad("a decimal number was expected in a PAX header"))
}

/// Seconds with a sign and a fraction, `-1.5`; the fraction is rounded down.
pub(super) fn seconds(bytes: &[u8]) -> io::Result<i64> {
    let (negative, rest) = match bytes.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, bytes),
    };
    let mut parts = rest.splitn(2, |b| *b == b'.');
    let (whole, fraction) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or(b"0"),
    );
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(bad("a time was expected in a PAX header"));
    }
    let whole = i64::try_from(decimal(whole)?).map_err(|_| bad("a time is too large"))?;
    let beyond = i64::from(negative && fraction.iter().any(|b| *b != b'0'));
    Ok(if negative { -whole - beyond } else { whole })
}

/// An error of a malformed archive.
pub(super) fn bad(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

/// An error of an archive that ends too early.
pub(super) fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn fields_are_octal_or_binary() {
        for (bytes, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777777\0", Some(0o77_777_777_777)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"\x80\0\0\0\0\x20\0\0", Some(0x20_0000)),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                Some(-1),
            ),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
                Some(-2),
            ),
            (
                b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                Some(i64::MAX),
            ),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"0000648\0", None),
            (b"-000644\0", None),
            (b"12 34\0\0\0", None),
        ] {
            assert_eq!(field(bytes).ok(), value, "{bytes:?}");
        }
    }

    #[test]
    fn times_are_rounded_down() {
        for (text, value) in [
            ("0", Some(0)),
            ("1.999999999", Some(1)),
            ("-1", Some(-1)),
            ("-1.0", Some(-1)),
            ("-0.5", Some(-1)),
            ("-1.5", Some(-2)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("-9223372036854775807.5", Some(i64::MIN)),
            ("", None),
            ("1e3", None),
            ("--1", None),
            ("1.-1", None),
        ] {
            assert_eq!(seconds(text.as_bytes()).ok(), value, "{text}");
        }
    }
}
