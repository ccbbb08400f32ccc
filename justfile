# `just check` is what the continuous integration runs.

default: check

# Formatting, lints, docs, tests and the repository's own rules.
check:
    bash .ci/run

test:
    cargo test --workspace

lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- --deny warnings
    cargo run --quiet --package xtask -- tidy

# A demo server on http://127.0.0.1:5000.
run:
    cargo run --release -- serve --demo

# Fuzz the token codec: `just fuzz parse 60` (needs cargo-fuzz).
fuzz target seconds="60":
    cd crates/jose && RUSTC_BOOTSTRAP=1 cargo fuzz run {{target}} -- -max_total_time={{seconds}}

# Mutation testing of the codec with its own tests (needs cargo-mutants): `just mutants`, or a part of it, `just mutants --shard 0/4`.
mutants *arguments:
    nice cargo mutants --package keyward-jose --jobs 1 {{arguments}}
