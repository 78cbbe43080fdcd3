//! Rooms that speak to a Prometheus, against a real one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod prometheus;
mod query_api;
mod remote_write;
