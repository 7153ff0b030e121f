//! Bytes of so many rows in the tables of `window::table`.

/// Words of a row before its accumulators: hash, and the key's place.
const HEAD_WORDS: usize = 2;
const WORD_BYTES: f64 = 8.0;
const INDEX_MIN: f64 = 16.0;
/// Entries of the index for each row that is expected.
const INDEX_SHARE: f64 = 2.0;

/// Bytes of one table with so many rows, whose index was sized for `rows_expected`; `words` are those of a row's
/// accumulators, `key_bytes` and `text_bytes` what a row has in the mean.
pub(super) fn bytes_for(rows: f64, rows_expected: f64, words: usize, key_bytes: f64, text_bytes: f64) -> f64 {
    let entries = (INDEX_SHARE * rows.max(rows_expected)).max(INDEX_MIN).log2().ceil().exp2();
    rows * ((HEAD_WORDS + words) as f64 * WORD_BYTES + key_bytes + text_bytes) + entries * WORD_BYTES
}
