//! The `bridgeproof` program: parse, run, exit.

fn main() {}
