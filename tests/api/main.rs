//! The HTTP door from outside: JSON to the byte, every filter and fault, TLS, users and limits over loopback.

mod fake;
mod json;
mod management;
mod rules;
mod server;
