//! The HTTP door from outside: JSON to the byte, every filter and fault, TLS, users and limits over loopback.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that fails or is skipped says so")]

mod fake;
mod json;
mod management;
mod rules;
mod server;
