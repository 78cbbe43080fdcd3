//! The whole program with real processes around it, and with stand-ins where those cannot be made to fail.
//!
//! Tests that need Prometheus and Alertmanager find them in the directory that `BELLWETHER_PEERS` names, else on PATH;
//! without them they say so and pass. Intervals are a second, so that an hour's story takes half a minute.

#![allow(clippy::print_stdout, reason = "tests speak through their output")]

mod api;
mod bad_alertmanagers;
mod bad_sources;
mod command_line;
mod harness;
mod main_job;
mod outages;
mod reloads;
mod stops;
mod twin;
