//! A closed window's row → the value of its output record: one JSON object. The key is the row's key as it is.

use crate::aggregate::{Layout, write_integer};
use crate::broker::TopicPartition;
use crate::config::Config;
use crate::window::table::Row;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use std::io::Write;

/// What is the same for all results of a configuration.
#[derive(Clone, Debug)]
pub struct Encoder {
    size_ms: i64,
    with_topic: bool,
    with_partition: bool,
    /// `,"name":` for each aggregate.
    names: Vec<Vec<u8>>,
}

/// What is the same for all results of one window: the text between their key and their first aggregate.
#[derive(Clone, Debug, Default)]
pub struct Frame(Vec<u8>);

impl Encoder {
    /// The encoder for a configuration.
    pub fn new(config: &Config) -> Self {
        let names = config.pipeline.aggregates.iter().map(|aggregate| {
            let mut name = vec![b','];
            write_string(&aggregate.name, &mut name);
            name.push(b':');
            name
        });
        Self {
            size_ms: config.pipeline.window.size_ms,
            with_topic: config.topics.many,
            with_partition: config.sink.with_partition,
            names: names.collect(),
        }
    }

    /// The frame of a window of this partition.
    pub fn frame(&self, from: &TopicPartition, end_ms: i64) -> Frame {
        let mut frame = Frame::default();
        self.write_frame(from, end_ms, &mut frame);
        frame
    }

    /// The same in memory that is used again.
    pub fn write_frame(&self, from: &TopicPartition, end_ms: i64, frame: &mut Frame) {
        let out = &mut frame.0;
        out.clear();
        if self.with_topic {
            out.extend_from_slice(b",\"topic\":");
            write_string(&from.topic, out);
        }
        if self.with_partition {
            out.extend_from_slice(b",\"partition\":");
            write_integer(i64::from(from.partition), out);
        }
        out.extend_from_slice(b",\"window_start\":");
        write_integer(end_ms - self.size_ms, out);
        out.extend_from_slice(b",\"window_end\":");
        write_integer(end_ms, out);
    }

    /// Appends one result; returns how many of its sums were not finite on the way.
    pub fn encode(&self, frame: &Frame, layout: &Layout, row: &Row<'_>, out: &mut Vec<u8>) -> usize {
        match std::str::from_utf8(row.key) {
            Ok(key) => {
                out.extend_from_slice(b"{\"key\":");
                write_string(key, out);
            }
            Err(_) => {
                // Writing into memory cannot fail.
                let _ = write!(out, "{{\"key_base64\":\"{}\"", Base64Display::new(row.key, &STANDARD));
            }
        }
        out.extend_from_slice(&frame.0);
        let mut not_finite = 0;
        for (index, name) in self.names.iter().enumerate() {
            out.extend_from_slice(name);
            not_finite += usize::from(!layout.write(index, row.words, row.texts, out));
        }
        out.push(b'}');
        not_finite
    }
}

/// Writes a JSON string with the escapes that RFC 8259 asks for and no others.
fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    if text.as_bytes().iter().all(plain) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                // Writing into memory cannot fail.
                let _ = write!(out, "\\u{byte:04x}");
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::At;
    use crate::decode::Value;
    use crate::pool::{Limits, Need, Pool};
    use crate::window::table::{Source, Table};

    fn encoded(key: &[u8], with_topic: bool, with_partition: bool) -> String {
        let pipeline = crate::task::tests::pipeline();
        let layout = Layout::new(&pipeline.aggregates);
        let encoder = Encoder {
            size_ms: 10,
            with_topic,
            with_partition,
            names: vec![b",\"n\":".to_vec(), b",\"sum\":".to_vec()],
        };
        let mut hot = Pool::new(Limits::UNBOUNDED).hot();
        let mut table = Table::default();
        let mut source = Source { hot: &mut hot, need: Need::Merge };
        table.add(&mut source, &layout, 0, key, At { time_ms: 0, offset: 0 }, |_| Value::Number(1.5)).unwrap();
        let from = TopicPartition { topic: "in\"put".into(), partition: 3 };
        let mut out = Vec::new();
        let row = table.row(&layout, table.first().unwrap()).unwrap();
        encoder.encode(&encoder.frame(&from, -5), &layout, &row, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_result_is_one_json_object_with_its_fields_in_order() {
        let table: [(&[u8], bool, bool, &str); 3] = [
            (b"AA", false, false, r#"{"key":"AA","window_start":-15,"window_end":-5,"n":1,"sum":1.5}"#),
            (
                b"a\"\\\n\x01",
                true,
                true,
                r#"{"key":"a\"\\\n\u0001","topic":"in\"put","partition":3,"window_start":-15,"window_end":-5,"n":1,"sum":1.5}"#,
            ),
            (
                &[0xff, 0xfe],
                false,
                false,
                r#"{"key_base64":"//4=","window_start":-15,"window_end":-5,"n":1,"sum":1.5}"#,
            ),
        ];
        for (key, with_topic, with_partition, expected) in table {
            assert_eq!(encoded(key, with_topic, with_partition), expected);
        }
    }
}
