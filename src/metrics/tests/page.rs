//! The page of metrics, written from the tables.

use super::all;

const OPENING: &str = "\
# Metrics

What `/metrics` shows, in the order of the eight verbs. Written by `TIDEMILL_WRITE=1 cargo test --lib the_page_of_metrics`
from the tables in `src/metrics`; the same words are in the HELP lines of a scrape.

- Every series carries `pipeline`, the name in the configuration. `lane` is the number of a thread; `topic` and
  `partition` are those of the source.
- Every series exists from the start with 0, except those of partitions, which come with the assignment and go with the
  revocation; those of lanes and of memory (`tidemill_release_pool_…`, `tidemill_memory_…`), of which a worker has none
  while it waits for its first broker; and where the text says \"absent\".
- There are at most 400 series for each process, 24 for each of its lanes and 26 for each partition that it owns; a test
  counts them.
- What to look at, and when: [operations.md](operations.md).
";

/// `docs/metrics.md`, from the tables themselves.
fn page() -> String {
    let mut page = OPENING.to_owned();
    let metrics = all(1, 1);
    let families = metrics.registry.gather();
    let mut rest: Vec<_> = families.iter().collect();
    for (title, prefix) in HEADINGS {
        page += &format!("\n## {title}\n\n| name | type | labels | means |\n|---|---|---|---|\n");
        let (here, others): (Vec<_>, Vec<_>) = rest.iter().partition(|family| family.name().starts_with(prefix));
        rest = others;
        for family in here {
            let labels = family.get_metric().first().map(|metric| metric.get_label()).unwrap_or_default();
            let labels: Vec<_> = labels.iter().map(|it| it.name()).filter(|name| *name != "pipeline").collect();
            let kind = format!("{:?}", family.get_field_type()).to_lowercase();
            page += &format!("| `{}` | {kind} | {} | {} |\n", family.name(), labels.join(", "), family.help());
        }
    }
    assert!(rest.is_empty(), "no heading for {:?}", rest.iter().map(|family| family.name()).collect::<Vec<_>>());
    page
}

const HEADINGS: [(&str, &str); 11] = [
    ("poll", "tidemill_poll_"),
    ("decode", "tidemill_decode_"),
    ("merge", "tidemill_merge_"),
    ("close", "tidemill_close_"),
    ("encode", "tidemill_encode_"),
    ("produce", "tidemill_produce_"),
    ("commit", "tidemill_commit_"),
    ("release", "tidemill_release_"),
    ("memory", "tidemill_memory_"),
    ("build", "tidemill_build_"),
    ("process", "process_"),
];

#[test]
fn the_page_of_metrics_is_what_the_tables_say() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let page = page();
    if std::env::var_os("TIDEMILL_WRITE").is_some() {
        std::fs::write(file, &page).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(written, page, "write it anew: TIDEMILL_WRITE=1 cargo test --lib the_page_of_metrics");
}
