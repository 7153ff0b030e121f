//! A proxy between worker and broker that understands just enough of Kafka to lose one request or its answer.
//!
//! Threads and loopback only; one thread for each direction of each connection.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Kafka's numbers of requests.
pub const PRODUCE: i16 = 0;
pub const ADD_OFFSETS_TO_TXN: i16 = 25;
pub const END_TXN: i16 = 26;
pub const TXN_OFFSET_COMMIT: i16 = 28;

/// What is lost, and what becomes of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The answer; the connection stays open and silent.
    Answer,
    /// The answer, and the connection closes.
    AnswerAndConnection,
    /// The answer; the connection closes as soon as a request of this kind waits for its own.
    AnswerAndConnectionWith(i16),
    /// The request never arrives; the connection stays open and silent.
    Request,
}

/// What is to be lost, shared by all connections.
#[derive(Default)]
struct Plan {
    /// Kind of request, how many of them pass before, and what is lost.
    lose: Mutex<Option<(i16, u32, Lost)>>,
    lost: AtomicU32,
    /// No request of this kind gets through.
    blocked: Mutex<Option<i16>>,
    /// How long every answer is under way, in milliseconds.
    delay_ms: AtomicU64,
}

impl Plan {
    /// What is lost of this request.
    fn loses(&self, kind: i16) -> Option<Lost> {
        let mut lose = self.lose.lock().unwrap();
        match &mut *lose {
            Some((wanted, 0, lost)) if *wanted == kind => {
                let lost = *lost;
                *lose = None;
                Some(lost)
            }
            Some((wanted, left, _)) if *wanted == kind => {
                *left -= 1;
                None
            }
            _ => None,
        }
    }
}

/// A proxy that works until the test ends.
pub struct Proxy {
    plan: Arc<Plan>,
}

impl Proxy {
    /// Accepts on `listener` and passes everything on to `broker`.
    pub fn start(listener: TcpListener, broker: SocketAddr) -> Self {
        let plan = Arc::<Plan>::default();
        let shared = plan.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(broker) = TcpStream::connect(broker) else { continue };
                connect(&shared, &client, &broker);
            }
        });
        Self { plan }
    }

    /// Loses one request of this kind or its answer, after `passing` others have been answered.
    pub fn lose(&self, kind: i16, passing: u32, lost: Lost) {
        *self.plan.lose.lock().unwrap() = Some((kind, passing, lost));
    }

    /// From now on no request of this kind gets through; `None`: all do, on other connections than those that have lost one.
    #[allow(dead_code)] // not every test program needs it
    pub fn block(&self, kind: Option<i16>) {
        *self.plan.blocked.lock().unwrap() = kind;
    }

    /// From now on every answer takes so long.
    #[allow(dead_code)]
    pub fn delay(&self, answers: Duration) {
        self.plan.delay_ms.store(answers.as_millis() as u64, Ordering::SeqCst);
    }

    /// How much was lost so far.
    pub fn lost(&self) -> u32 {
        self.plan.lost.load(Ordering::SeqCst)
    }
}

/// What both directions of a connection know.
#[derive(Default)]
struct Connection {
    /// Correlation ids whose answers are to be lost, and what follows.
    marked: Mutex<HashSet<[u8; 4]>>,
    closes: AtomicBool,
    silent: AtomicBool,
    /// Correlation ids of requests whose answers the connection does not outlive, and their kind.
    last: Mutex<HashSet<[u8; 4]>>,
    last_kind: Mutex<Option<i16>>,
}

fn connect(plan: &Arc<Plan>, client: &TcpStream, broker: &TcpStream) {
    for stream in [client, broker] {
        stream.set_nodelay(true).unwrap();
    }
    let connection = Arc::<Connection>::default();
    let copy = |stream: &TcpStream| stream.try_clone().unwrap();
    let (up, down) = ((copy(client), copy(broker)), (copy(broker), copy(client)));
    let (plan, shared) = (plan.clone(), connection.clone());
    let plan_up = plan.clone();
    std::thread::spawn(move || pass(up, |frame| request(&plan_up, &connection, frame)));
    std::thread::spawn(move || {
        pass(down, |frame| {
            std::thread::sleep(Duration::from_millis(plan.delay_ms.load(Ordering::SeqCst)));
            let id: [u8; 4] = frame[4..8].try_into().unwrap();
            if shared.marked.lock().unwrap().remove(&id) {
                plan.lost.fetch_add(1, Ordering::SeqCst);
                shared.silent.store(true, Ordering::SeqCst);
                if !shared.last.lock().unwrap().is_empty() {
                    return Next::Close;
                }
            }
            shared.last.lock().unwrap().remove(&id);
            match shared.silent.load(Ordering::SeqCst) {
                false => Next::Pass,
                true if shared.closes.load(Ordering::SeqCst) => Next::Close,
                true => Next::Swallow,
            }
        });
    });
}

/// Length, kind, version, correlation id.
fn request(plan: &Plan, connection: &Connection, frame: &[u8]) -> Next {
    let kind = i16::from_be_bytes([frame[4], frame[5]]);
    if *plan.blocked.lock().unwrap() == Some(kind) {
        connection.silent.store(true, Ordering::SeqCst);
    }
    let id: [u8; 4] = frame[8..12].try_into().unwrap();
    match plan.loses(kind) {
        Some(Lost::Request) => {
            plan.lost.fetch_add(1, Ordering::SeqCst);
            connection.silent.store(true, Ordering::SeqCst);
        }
        Some(lost) => {
            if let Lost::AnswerAndConnectionWith(kind) = lost {
                *connection.last_kind.lock().unwrap() = Some(kind);
            }
            connection.closes.store(lost == Lost::AnswerAndConnection, Ordering::SeqCst);
            connection.marked.lock().unwrap().insert(id);
        }
        None => {}
    }
    let is_silent = connection.silent.load(Ordering::SeqCst);
    if *connection.last_kind.lock().unwrap() == Some(kind) {
        connection.last.lock().unwrap().insert(id);
        if is_silent {
            return Next::Close;
        }
    }
    if is_silent { Next::Swallow } else { Next::Pass }
}

enum Next {
    Pass,
    Swallow,
    Close,
}

/// Passes frames on until either side ends.
fn pass((mut from, mut to): (TcpStream, TcpStream), mut decide: impl FnMut(&[u8]) -> Next) {
    let mut frame = Vec::new();
    loop {
        frame.resize(4, 0);
        if from.read_exact(&mut frame).is_err() {
            break;
        }
        let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
        frame.resize(4 + length, 0);
        if from.read_exact(&mut frame[4..]).is_err() {
            break;
        }
        match decide(&frame) {
            Next::Pass if to.write_all(&frame).is_err() => break,
            Next::Pass | Next::Swallow => {}
            Next::Close => break,
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
