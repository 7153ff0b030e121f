//! tidemill: arguments → configuration → run → exit code.

fn main() {}
