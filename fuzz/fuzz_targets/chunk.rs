//! Chunks: what one read brings is one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use madang_fuzz::is_safe_line;
use madang_wire::{LINE_BYTES_MAX, chunk, text};

fuzz_target!(|read: &[u8]| {
    let refusal = match chunk(read) {
        Ok(None) => return assert!(read.iter().all(|byte| b"\r\n\0".contains(byte))),
        Ok(Some(line)) => {
            assert!(read.starts_with(line) && (1..=LINE_BYTES_MAX).contains(&line.len()));
            text::parse(line).err()
        }
        Err(refusal) => Some(refusal),
    };
    if let Some(refusal) = refusal {
        let mut out = Vec::new();
        text::encode_refusal(&mut out, &refusal, true);
        assert!(is_safe_line(&out, true));
    }
});
