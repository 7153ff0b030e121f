//! Spans leave over OTLP/HTTP, on a thread of their own.
//!
//! A span is made whole when its transaction is over, so there is no use for a tracer, a context, a sampler or a
//! processor: OpenTelemetry's own messages (`opentelemetry-proto`) are filled in and posted. So what the receiver refuses
//! can be counted and its reason logged, both of which the SDK's exporter keeps to itself, and no layer of
//! `tracing-opentelemetry` sits between a lane and its lines. Nothing is sent twice: a receiver that is away costs spans,
//! not time.

use super::{Origin, TideSpan, Traces};
use crate::clock::Clock;
use crate::logs::{Ids, Limiter};
use crate::metrics::{SpanCounts, SpanResult, TransactionResult};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Spans that may wait; some 500 bytes each.
const ROOM: usize = 1024;
/// Spans in one request.
const BATCH: usize = 256;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// For a request and its answer, looking up the name of the host included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// An answer holds a reason at most.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// How often a receiver that is away is worth a line.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Sampled, and known to have no parent elsewhere.
const FLAGS: u32 = 0x101;

/// Starts the thread; it ends when all handles are gone and the last spans are sent, and closes what it returns.
pub(super) fn start<C>(
    url: &str,
    origin: &Origin,
    counts: &SpanCounts,
    clock: C,
) -> std::io::Result<(Traces, Receiver<()>)>
where
    C: Clock + Send + 'static,
{
    let (traces, spans) = Traces::new(ROOM, counts.clone());
    let (alive, ended) = channel();
    // A connection for each request: one that the receiver has closed meanwhile would cost a batch.
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_idle_connections(0)
        .max_redirects(0)
        .http_status_as_error(false)
        .proxy(None)
        .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent();
    let (resource, limiter) = (resource(origin), Limiter::new(SAY_EVERY, 1));
    let mut post = Post { url: url.to_owned(), agent, resource, counts: counts.clone(), clock, limiter };
    std::thread::Builder::new().name("traces".into()).spawn(move || {
        post.all(&spans);
        drop(alive);
    })?;
    Ok((traces, ended))
}

/// What sends them.
struct Post<C> {
    url: String,
    agent: ureq::Agent,
    resource: Resource,
    counts: SpanCounts,
    clock: C,
    limiter: Limiter,
}

impl<C: Clock> Post<C> {
    fn all(&mut self, spans: &Receiver<TideSpan>) {
        while let Ok(first) = spans.recv() {
            let until = self.clock.monotonic() + GATHER;
            let mut batch = vec![span(first)];
            while batch.len() < BATCH
                && let Ok(next) = spans.recv_timeout(until.saturating_sub(self.clock.monotonic()))
            {
                batch.push(span(next));
            }
            self.batch(batch);
        }
    }

    fn batch(&mut self, batch: Vec<Span>) {
        let spans = batch.len() as u64;
        let (refused, why) = match self.send(batch) {
            Ok((refused, why)) => (refused.min(spans), why),
            Err(why) => (spans, why),
        };
        self.counts.add(SpanResult::Exported, spans - refused);
        self.counts.add(SpanResult::Failed, refused);
        if refused > 0
            && let Some(left_out) = self.limiter.allow(self.clock.monotonic())
        {
            tracing::warn!(url = self.url, spans = refused, left_out, why, "spans could not be sent");
        }
    }

    /// How many the receiver did not take, and why.
    fn send(&self, spans: Vec<Span>) -> Result<(u64, String), String> {
        let scope = InstrumentationScope { name: "tidemill".into(), version: version(), ..Default::default() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }];
        let resource = Some(self.resource.clone());
        let resource_spans = vec![ResourceSpans { resource, scope_spans, ..Default::default() }];
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let sent = self.agent.post(&self.url).header("content-type", "application/x-protobuf").send(&body);
        let mut response = sent.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("the receiver answers {}", response.status()));
        }
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        // It said that it took them; a strange answer changes nothing.
        let answer = body.ok().and_then(|body| ExportTraceServiceResponse::decode(&*body).ok()).unwrap_or_default();
        let partial = answer.partial_success.unwrap_or_default();
        Ok((u64::try_from(partial.rejected_spans).unwrap_or(0), partial.error_message))
    }
}

fn resource(origin: &Origin) -> Resource {
    let attributes = vec![
        text("service.name", "tidemill"),
        text("service.version", version()),
        text("service.instance.id", &*origin.instance),
        text("tidemill.pipeline", &*origin.pipeline),
    ];
    Resource { attributes, ..Default::default() }
}

/// A span as it is sent.
fn span(tide: TideSpan) -> Span {
    let began = u64::try_from(tide.began_ms).unwrap_or(0) * 1_000_000;
    let at = |after: Duration| began + u64::try_from(after.as_nanos()).unwrap_or(0);
    let event =
        |(name, after): (&str, Duration)| Event { name: name.into(), time_unix_nano: at(after), ..Default::default() };
    let names = tide.names.into_iter().map(|name| AnyValue { value: Some(Value::StringValue(name)) }).collect();
    let mut attributes = vec![
        number("tidemill.lane", tide.lane as u64),
        text("tidemill.result", tide.result.as_str()),
        number("tidemill.partitions", tide.partitions as u64),
        attribute("tidemill.partition_names", Value::ArrayValue(ArrayValue { values: names })),
        number("tidemill.windows", tide.windows as u64),
        number("tidemill.records", tide.records),
        number("tidemill.bytes", tide.bytes),
        number("tidemill.results", tide.visible.sink),
        number("tidemill.late", tide.visible.late),
        number("tidemill.dead_letters", tide.visible.dead_letter),
    ];
    attributes.extend(tide.watermark_ms.map(|ms| attribute("tidemill.watermark_ms", Value::IntValue(ms))));
    let status = match tide.result {
        TransactionResult::Committed => Status { code: StatusCode::Ok.into(), ..Default::default() },
        TransactionResult::Aborted | TransactionResult::Unknown => {
            Status { code: StatusCode::Error.into(), message: tide.why.unwrap_or_default() }
        }
    };
    let Ids { trace, span } = tide.ids;
    Span {
        trace_id: trace.to_be_bytes().into(),
        span_id: span.to_be_bytes().into(),
        flags: FLAGS,
        name: "tide".into(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: began,
        end_time_unix_nano: at(tide.took),
        attributes,
        events: tide.marks.into_iter().map(event).collect(),
        status: Some(status),
        ..Default::default()
    }
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}
