//! Whether a program is one that the kernel starts by itself.

/// The type of the program header that names an interpreter (elf(5)).
const PT_INTERP: u32 = 3;

/// Whether these bytes are a 64-bit little-endian ELF program without an interpreter. Shared libraries
/// are only found by one, so it needs none.
pub(super) fn is_static(program: &[u8]) -> bool {
    headers(program).is_some_and(|types| !types.is_empty() && !types.contains(&PT_INTERP))
}

/// The types of the program headers.
fn headers(program: &[u8]) -> Option<Vec<u32>> {
    let number = |at: usize, width: usize| -> Option<usize> {
        let bytes = program.get(at..at.checked_add(width)?)?;
        bytes.iter().rev().try_fold(0_usize, |value, byte| {
            value.checked_mul(256)?.checked_add(usize::from(*byte))
        })
    };
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (first, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    (0..count)
        .map(|i| u32::try_from(number(i.checked_mul(size)?.checked_add(first)?, 4)?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_is_seen() -> std::io::Result<()> {
        // This test itself is linked dynamically, as tests are on a machine of glibc.
        if cfg!(target_env = "gnu") {
            assert!(!is_static(&std::fs::read("/proc/self/exe")?));
        }
        let mut program = vec![0; 64 + 56];
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (program[32], program[54], program[56]) = (64, 56, 1);
        program[64] = 1;
        assert!(is_static(&program));
        program[64] = 3;
        assert!(!is_static(&program));
        program[32..40].fill(0xff);
        assert!(!is_static(&program));
        for odd in [&b""[..], b"\x7fELF", b"#!/bin/sh\n"] {
            assert!(!is_static(odd));
        }
        Ok(())
    }
}
