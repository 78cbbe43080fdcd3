# Names for what `cargo` does anyway. `just --list` shows them.

# Formatting, lints and docs, as CI checks them.
check:
    cargo fmt --all --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# The whole truth. BELLWETHER_CORPUS and BELLWETHER_PEERS widen it.
test *arguments:
    cargo test {{arguments}}

# Only the comparisons with the reference's answers.
golden:
    cargo test --test 'golden*' --test 'corpus*'

# All benches, or one: `just bench answer`.
bench *name:
    cargo bench {{ if name == "" { "" } else { "--bench " + name } }}

doc:
    cargo doc --no-deps --document-private-items --open
