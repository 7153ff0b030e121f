//! Asks a worker for its status: one GET, with limits of time and size.

use crate::status::View;
use anyhow::{Context, bail};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// For connecting, and for each piece of the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// 500 partitions are 0.4 MB.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// The status of the worker at `host:port`; a leading `http://` is allowed.
pub(super) fn view(address: &str) -> anyhow::Result<View> {
    let address = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
    let answer = get(address).with_context(|| format!("cannot ask {address}: is http.listen of the worker there?"))?;
    serde_json::from_str(&answer).with_context(|| format!("{address} is no tidemill: /v1/status is not understood"))
}

fn get(address: &str) -> anyhow::Result<String> {
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /v1/status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("the answer is {status}");
    }
    Ok(body.to_owned())
}

fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let mut refused = None;
    for address in address.to_socket_addrs().context("write host:port")? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.map_or_else(|| anyhow::anyhow!("the name has no address"), Into::into))
}
