//! What peers speak that is not JSON: protobuf messages and snappy blocks.
//!
//! Bytes to values and back, within bounds. No I/O. Called by `sources` and `store`.

pub mod remote_write;
pub mod snappy;
