//! Prometheus and VictoriaMetrics as Debian has them, on loopback, with the rules that are shipped.

use crate::process;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ANSWER: Duration = Duration::from_secs(60);

/// Ends the server when its standard input does: with this process at the latest.
const SHELL: &str = r#""$@" <&- & read line; kill -9 $!; wait"#;

/// One process. Dropping it ends it.
struct Server {
    shell: Child,
    address: SocketAddr,
}

impl Server {
    fn start(program: &str, folder: &Path, address: SocketAddr, arguments: &[String]) -> Self {
        let path = folder.join(format!("{program}.log"));
        let log = std::fs::File::create(&path).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", SHELL, "sh", program]).args(arguments);
        shell.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut shell = shell.spawn().unwrap();
        process::wait(&format!("{program} answers"), ANSWER, || {
            if shell.try_wait().unwrap().is_some() {
                panic!("{program} has ended: {}", std::fs::read_to_string(&path).unwrap_or_default());
            }
            get(address, "/-/healthy")
        });
        Self { shell, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// A database that scrapes the workers, and evaluates the shipped rules by itself or by a process beside it.
pub struct Store {
    pub name: &'static str,
    queries: Server,
    rules: Option<Server>,
}

impl Store {
    /// Prometheus, which scrapes and evaluates every second; alerts wait for a `hurry`-th of their time.
    pub fn prometheus(folder: &Path, hurry: u32) -> Self {
        std::fs::write(folder.join("alerts.yml"), hurried(&shipped("config/alerts.yml"), hurry)).unwrap();
        let global = "global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: [alerts.yml]\n";
        std::fs::write(folder.join("prometheus.yml"), format!("{global}{SCRAPE}")).unwrap();
        let address = free();
        let arguments = [
            format!("--config.file={}", folder.join("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", folder.join("prometheus").display()),
            format!("--web.listen-address={address}"),
        ];
        Self { name: "Prometheus", queries: Server::start("prometheus", folder, address, &arguments), rules: None }
    }

    /// VictoriaMetrics, and its vmalert.
    pub fn victoria(folder: &Path) -> Self {
        std::fs::write(folder.join("victoria.yml"), format!("global: {{ scrape_interval: 1s }}\n{SCRAPE}")).unwrap();
        let (address, alert) = (free(), free());
        let arguments = [
            format!("-promscrape.config={}", folder.join("victoria.yml").display()),
            format!("-storageDataPath={}", folder.join("victoria").display()),
            format!("-httpListenAddr={address}"),
            "-promscrape.fileSDCheckInterval=1s".into(),
            // It knows one field less of what it reads.
            "-promscrape.config.strictParse=false".into(),
            // Answers are about now, not about half a minute ago.
            "-search.latencyOffset=1s".into(),
            "-search.disableCache".into(),
            "-memory.allowedBytes=128MB".into(),
        ];
        let queries = Server::start("victoria-metrics", folder, address, &arguments);
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/alerts.yml");
        let arguments = [
            format!("-rule={}", rules.display()),
            format!("-datasource.url=http://{address}"),
            format!("-remoteWrite.url=http://{address}"),
            format!("-notifier.url=http://{address}"),
            format!("-httpListenAddr={alert}"),
            "-evaluationInterval=1s".into(),
            "-remoteWrite.flushInterval=1s".into(),
        ];
        Self { name: "VictoriaMetrics", queries, rules: Some(Server::start("vmalert", folder, alert, &arguments)) }
    }

    /// What an expression is now.
    pub fn query(&self, expr: &str) -> Vec<Value> {
        let answer = json(self.queries.address, &format!("/api/v1/query?query={}", encoded(expr)));
        assert_eq!(answer["status"], "success", "{}: {expr}: {answer}", self.name);
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// The numbers of it: 0 / 0 is none.
    pub fn numbers(&self, expr: &str) -> Vec<f64> {
        let number = |it: &Value| it["value"][1].as_str()?.parse::<f64>().ok().filter(|number| number.is_finite());
        self.query(expr).iter().filter_map(number).collect()
    }

    /// What a variable of a dashboard has to choose from.
    pub fn label_values(&self, label: &str, metric: &str) -> Vec<Value> {
        let answer = json(self.queries.address, &format!("/api/v1/label/{label}/values?match[]={metric}"));
        answer["data"].as_array().cloned().unwrap_or_default()
    }

    /// Draws the dashboards into a folder, by `dashboards/pictures`.
    pub fn draw(&self, folder: &Path) {
        let render = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/pictures/render.mjs");
        let drawn =
            Command::new("node").args([render, &format!("http://{}", self.queries.address)]).arg(folder).status();
        assert!(drawn.is_ok_and(|status| status.success()), "is `npm install` done in dashboards/pictures?");
    }

    /// How many rules have been evaluated so far; none with an error.
    pub fn evaluated_rules(&self) -> usize {
        let answer = json(self.rules.as_ref().unwrap_or(&self.queries).address, "/api/v1/rules");
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        let evaluated = rules.filter(|rule| {
            assert!(rule["health"] != "err", "{}: {rule}", self.name);
            rule["health"] == "ok"
        });
        evaluated.count()
    }
}

/// Both read their targets from a file beside.
const SCRAPE: &str = "scrape_configs:\n  - job_name: tidemill\n    file_sd_configs:\n      - files: [targets.json]\n        \
                      refresh_interval: 1s\n";

/// Says where the workers are.
pub fn write_targets(folder: &Path, workers: &[SocketAddr]) {
    let targets: Vec<_> = workers.iter().map(ToString::to_string).collect();
    let text = serde_json::json!([{ "targets": targets }]).to_string();
    // As a whole: somebody reads it every second.
    let fresh = folder.join("targets.new");
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(fresh, folder.join("targets.json")).unwrap();
}

fn shipped(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The rules with `for: 5m` as `for: 300s` divided by `hurry`.
fn hurried(rules: &str, hurry: u32) -> String {
    let line = |line: &str| match line.trim().strip_prefix("for: ").and_then(|it| it.strip_suffix('m')) {
        Some(minutes) => format!("        for: {}s\n", minutes.parse::<u32>().unwrap() * 60 / hurry),
        None => format!("{line}\n"),
    };
    rules.lines().map(line).collect()
}

fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn json(server: SocketAddr, path: &str) -> Value {
    let text = process::wait(&format!("{server}{path}"), ANSWER, || get(server, path));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
}

/// The body of an answer; `None` while nobody answers, or with 503. HTTP/1.0, so that it comes in one piece.
fn get(server: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    (head.split(' ').nth(1)? != "503").then(|| body.to_owned())
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut url, byte| {
        if byte.is_ascii_alphanumeric() {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
        url
    })
}
