//! Values of single keys that have a grammar or a choice of their own.

use super::complaint::Complaints;
use super::node::{Kind, Node, Value};
use super::read::{Form, Read, Shape, Wrong, scalar, substitution, words};
use super::units::{Bytes, SIZE_UNITS};
use super::{Protocol, StartAt, TimeFormat, WhenFull};
use serde_json::json;
use std::net::SocketAddr;

words!(Protocol, "a rebalance protocol": { "classic" => Protocol::Classic, "consumer" => Protocol::Consumer });
words!(StartAt, "a place to start": { "earliest" => StartAt::Earliest, "latest" => StartAt::Latest });
words!(TimeFormat, "a time format": {
    "unix_s" => TimeFormat::UnixS, "unix_ms" => TimeFormat::UnixMs, "unix_us" => TimeFormat::UnixUs,
    "unix_ns" => TimeFormat::UnixNs, "rfc3339" => TimeFormat::Rfc3339,
});
words!(WhenFull, "an answer to a full budget": { "hold" => WhenFull::Hold, "stop" => WhenFull::Stop });

/// `source.format`: later formats go here.
#[derive(Debug)]
pub(super) struct Format;
words!(Format, "a format": { "json" => Self });

/// `window.idle.then`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    Advance,
    Close,
}
words!(Then, "an answer to silence": { "advance" => Then::Advance, "close" => Then::Close });

/// `sink.fields`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extra;
words!(Extra, "a field that results can carry": { "partition" => Self });

/// `sink.compression`, by its name in librdkafka.
#[derive(Debug)]
pub(super) struct Compression(pub(super) &'static str);
words!(Compression, "a codec": {
    "none" => Self("none"), "gzip" => Self("gzip"), "snappy" => Self("snappy"), "lz4" => Self("lz4"),
    "zstd" => Self("zstd"),
});

/// `kafka.brokers`.
#[derive(Debug)]
pub(super) struct Brokers(pub(super) String);

impl Form for Brokers {
    const WHAT: &'static str = "text such as `host:9092,other:9092`";
    const SHAPE: Shape = Shape::Pattern(r" *[^\s,]+ *(, *[^\s,]+ *)*");

    fn parse(text: &str) -> Result<Self, Wrong> {
        let brokers: Vec<&str> = text.split(',').map(str::trim).collect();
        for broker in &brokers {
            let address = broker.split_once("://").map_or(*broker, |(_, address)| address);
            let port = address.rsplit_once(':').filter(|_| !address.ends_with(']')).map(|(_, port)| port);
            if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
                return Err(Wrong {
                    message: "a broker's port is a number from 1 to 65535".into(),
                    help: Some("write host:port, such as localhost:9092".into()),
                });
            }
        }
        Ok(Self(brokers.join(",")))
    }
}

/// `http.listen`.
#[derive(Debug)]
pub(super) struct Listen(pub(super) SocketAddr);

impl Form for Listen {
    const WHAT: &'static str = "an address and a port such as `127.0.0.1:9640`";
    const SHAPE: Shape = Shape::Pattern(r"[0-9.]+:[0-9]+|\[[0-9A-Fa-f:.]+\]:[0-9]+");

    fn parse(text: &str) -> Result<Self, Wrong> {
        text.parse().map(Self).map_err(|_| "there is no such address or port".to_owned().into())
    }
}

/// `traces.otlp`: where to post to.
#[derive(Debug)]
pub(super) struct Otlp(pub(super) String);

/// Where a receiver has traces, by the specification of OTLP.
const TRACES_PATH: &str = "/v1/traces";

impl Form for Otlp {
    const WHAT: &'static str = "an OTLP/HTTP receiver without TLS such as `http://127.0.0.1:4318`";
    const SHAPE: Shape = Shape::Pattern(r"http://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?");

    fn parse(text: &str) -> Result<Self, Wrong> {
        let authority = text.split('/').nth(2).unwrap_or_default();
        let port = authority.rsplit_once(':').filter(|_| !authority.ends_with(']')).map(|(_, port)| port);
        if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
            return Err("a receiver's port is a number from 1 to 65535".to_owned().into());
        }
        let base = text.trim_end_matches('/');
        Ok(Self(format!("{}{TRACES_PATH}", base.strip_suffix(TRACES_PATH).unwrap_or(base))))
    }
}

/// `http.admin.token`. `Debug` hides it.
pub(super) struct Token {
    pub(super) text: String,
    /// Whether it was written into the file itself.
    pub(super) bare: bool,
}

/// The text of a token.
struct TokenText(String);

impl Form for TokenText {
    const WHAT: &'static str = "a token of 16 to 1000 printable characters without spaces";
    const SHAPE: Shape = Shape::Pattern("[!-~]{16,1000}");

    fn parse(text: &str) -> Result<Self, Wrong> {
        Ok(Self(text.into()))
    }
}

impl Read for Token {
    fn schema() -> serde_json::Value {
        TokenText::schema()
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let bare = matches!(&node.value, Value::Scalar(scalar) if scalar.substituted.is_none());
        TokenText::read(node, out).map(|text| Self { text: text.0, bare })
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// `lanes`: `None` is `auto`.
#[derive(Debug)]
pub(super) struct Lanes(pub(super) Option<usize>);

/// More lanes than any machine of today has cores.
const LANES_MAX: usize = 1024;

impl Read for Lanes {
    fn schema() -> serde_json::Value {
        json!({ "title": "`auto` or a number", "anyOf": [
            { "const": "auto" }, { "title": "a number from 1 to 1024", "type": "integer", "minimum": 1, "maximum": LANES_MAX }, substitution(),
        ] })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let scalar = scalar(node, "`auto` or a number of lanes", out)?;
        let lanes = match (scalar.kind(), scalar.text()) {
            (Kind::Text | Kind::Substituted, "auto") => Some(None),
            (Kind::Integer | Kind::Substituted, text) => {
                text.parse().ok().filter(|lanes| (1..=LANES_MAX).contains(lanes)).map(Some)
            }
            _ => None,
        };
        if lanes.is_none() {
            out.error(node.span, format!("`{}` is not `auto` or a number from 1 to {LANES_MAX}", scalar.shown()));
        }
        lanes.map(Self)
    }
}

/// `memory.budget`: `None` is `auto`.
#[derive(Debug)]
pub(super) struct Budget(pub(super) Option<u64>);

impl Form for Budget {
    const WHAT: &'static str = "`auto` or a size such as `256MiB`";
    const SHAPE: Shape = Shape::Pattern(r"auto|[0-9]+(\.[0-9]+)? *(B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB)");
    const UNITS: &'static [&'static str] = SIZE_UNITS;

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "auto" => Ok(Self(None)),
            size => Bytes::parse(size).map(|size| Self(Some(size.0))),
        }
    }
}

/// `memory.recent`.
#[derive(Debug)]
pub(super) struct Recent(pub(super) super::Recent);

/// Recent results are a convenience: windows need the rest.
const RECENT_PERCENT_MAX: u64 = 50;

impl Form for Recent {
    const WHAT: &'static str = "a part such as `5%` or a size such as `16MiB`";
    const SHAPE: Shape = Shape::Pattern(r"[0-9]+ *%|[0-9]+(\.[0-9]+)? *(B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB)");
    const UNITS: &'static [&'static str] = &["%", "MiB"];

    fn parse(text: &str) -> Result<Self, Wrong> {
        let Some(percent) = text.strip_suffix('%') else {
            return Bytes::parse(text).map(|size| Self(super::Recent::Bytes(size.0)));
        };
        let percent = percent.trim_end().parse().ok().filter(|percent| (1..=RECENT_PERCENT_MAX).contains(percent));
        let part = percent.map(|percent| Self(super::Recent::Share { percent }));
        part.ok_or_else(|| format!("a part goes from 1% to {RECENT_PERCENT_MAX}%").into())
    }
}

/// A number in `memory.pool`: a tier's share, or how seldom it is trimmed.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolNumber(pub(super) u32);

const POOL_NUMBER_MAX: u32 = 1000;

impl Read for PoolNumber {
    fn schema() -> serde_json::Value {
        json!({ "title": "a number from 1 to 1000", "anyOf": [
            { "title": "a number from 1 to 1000", "type": "integer", "minimum": 1, "maximum": POOL_NUMBER_MAX }, substitution(),
        ] })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let scalar = scalar(node, "a number from 1 to 1000", out)?;
        let is_number = matches!(scalar.kind(), Kind::Integer | Kind::Substituted);
        let number = scalar.text().parse().ok().filter(|number| is_number && (1..=POOL_NUMBER_MAX).contains(number));
        if number.is_none() {
            out.error(node.span, format!("`{}` is not a number from 1 to {POOL_NUMBER_MAX}", scalar.shown()));
        }
        number.map(Self)
    }
}
