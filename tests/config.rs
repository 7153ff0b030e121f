//! x
use tidemill::cli::check::check;
#[test]
fn x() {
    for f in ["config/flights.yaml", "/tmp/bad1.yaml"] {
        let mut out = Vec::new();
        let code = check(std::path::Path::new(f), &mut out).unwrap();
        println!("{}\n{code}", String::from_utf8(out).unwrap());
    }
}
