//! The HTTP door from outside: JSON to the byte, every filter and fault, TLS, users and limits over loopback.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod fake;
mod json;
mod management;
mod rules;
mod server;
