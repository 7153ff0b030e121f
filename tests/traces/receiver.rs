//! An OTLP receiver on loopback: takes what is posted to `/v1/traces`, and answers when it is told to.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// What it has got so far.
#[derive(Default)]
struct State {
    got: Mutex<Vec<ResourceSpans>>,
    /// Spans of each request that it says it does not take.
    rejects: i64,
    /// Whether it answers.
    open: Mutex<bool>,
    opened: Condvar,
}

/// It lives as long as the test program.
pub struct Receiver {
    pub url: String,
    state: Arc<State>,
}

impl Receiver {
    /// One that answers at once.
    pub fn start() -> Self {
        Self::with(State { open: Mutex::new(true), ..State::default() })
    }

    /// One that takes everything and answers nobody until [`Self::open`].
    pub fn closed() -> Self {
        Self::with(State::default())
    }

    /// One that refuses so many spans of each request.
    pub fn picky(rejects: i64) -> Self {
        Self::with(State { open: Mutex::new(true), rejects, ..State::default() })
    }

    fn with(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(state);
        let receiver = Self { url, state: state.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = state.clone();
                std::thread::spawn(move || answer(&state, &stream.unwrap()));
            }
        });
        receiver
    }

    /// Answers from now on.
    pub fn open(&self) {
        *self.state.open.lock().unwrap() = true;
        self.state.opened.notify_all();
    }

    /// Everything so far, by request.
    pub fn requests(&self) -> Vec<ResourceSpans> {
        self.state.got.lock().unwrap().clone()
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.requests().into_iter().flat_map(|it| it.scope_spans).flat_map(|it| it.spans).collect()
    }
}

fn answer(state: &State, stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_ascii_lowercase()),
        }
    }
    assert_eq!(head[0], "post /v1/traces http/1.1");
    assert!(head.contains(&"content-type: application/x-protobuf".to_owned()), "{head:?}");
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let request = ExportTraceServiceRequest::decode(&*body).unwrap();
    state.got.lock().unwrap().extend(request.resource_spans);
    let _open = state.opened.wait_while(state.open.lock().unwrap(), |open| !*open).unwrap();
    let error_message = if state.rejects > 0 { "too many for today".to_owned() } else { String::new() };
    let partial = ExportTracePartialSuccess { rejected_spans: state.rejects, error_message };
    let body = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let mut stream = stream;
    // Whoever has waited for too long is gone.
    let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(&body);
}

/// The value of an attribute, as text.
pub fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|it| it.key == key).unwrap_or_else(|| panic!("no {key} in {attributes:?}"));
    text(found.value.as_ref().unwrap().value.as_ref().unwrap())
}

fn text(value: &Value) -> String {
    match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::ArrayValue(list) => {
            let all = list.values.iter().map(|it| text(it.value.as_ref().unwrap()));
            all.collect::<Vec<_>>().join(" ")
        }
        other => panic!("{other:?}"),
    }
}

/// The ids of a span, in the order of [`tidemill::logs::Ids`].
pub fn ids(span: &Span) -> (u128, u64) {
    let (trace, span) = (span.trace_id.as_slice(), span.span_id.as_slice());
    (u128::from_be_bytes(trace.try_into().unwrap()), u64::from_be_bytes(span.try_into().unwrap()))
}
