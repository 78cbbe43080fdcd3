//! The snappy block format, which remote write and remote read put around their messages.
//!
//! Source: `format_description.txt` of google/snappy. Not the framed format: no stream identifier, no checksums.

/// Why bytes are no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnappyError {
    #[error("a snappy block of {declared} bytes where at most {max} are taken")]
    TooLarge { declared: usize, max: usize },
    #[error("not a snappy block: {0}")]
    Malformed(String),
    #[error("{0} bytes are more than a snappy block can hold")]
    TooLong(usize),
}

/// One block of all these bytes; at most 4 GiB.
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>, SnappyError> {
    snap::raw::Encoder::new().compress_vec(bytes).map_err(|_| SnappyError::TooLong(bytes.len()))
}

/// The bytes of a block, if they are no more than this. What the block claims is checked before anything is allocated.
pub fn decompress(block: &[u8], bytes_max: usize) -> Result<Vec<u8>, SnappyError> {
    let malformed = |error: snap::Error| SnappyError::Malformed(error.to_string());
    let declared = snap::raw::decompress_len(block).map_err(malformed)?;
    if declared > bytes_max {
        return Err(SnappyError::TooLarge { declared, max: bytes_max });
    }
    snap::raw::Decoder::new().decompress_vec(block).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_are_snappys() {
        assert_eq!(compress(b"abc").unwrap(), b"\x03\x08abc");
        assert_eq!(decompress(b"\x03\x08abc", 3).unwrap(), b"abc");
        // A literal and a copy that overlaps what it writes.
        assert_eq!(decompress(b"\x08\x00a\x1a\x01\x00", 8).unwrap(), b"aaaaaaaa");
    }

    #[test]
    fn claims_are_checked_before_they_are_believed() {
        assert_eq!(decompress(b"\x03\x08abc", 2), Err(SnappyError::TooLarge { declared: 3, max: 2 }));
        let claims_4_gib = b"\xff\xff\xff\xff\x0f\x00";
        assert!(matches!(decompress(claims_4_gib, 1 << 20), Err(SnappyError::TooLarge { .. })));
        for block in [&b""[..], b"\x03", b"\x03\x08ab", b"\xff\xff\xff\xff\xff\xff"] {
            assert!(matches!(decompress(block, 100), Err(SnappyError::Malformed(_))), "{block:?}");
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(bytes in proptest::collection::vec(0..4_u8, 0..2000)) {
            prop_assert_eq!(decompress(&compress(&bytes).unwrap(), bytes.len()).unwrap(), bytes);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decompress(&bytes, 1000);
        }
    }
}
