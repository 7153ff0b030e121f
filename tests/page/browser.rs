//! Headless Chromium, spoken to over two pipes (the DevTools protocol: JSON, each message ended by a NUL).

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// One page in one browser; both end with this value.
pub struct Browser {
    child: Child,
    orders: File,
    answers: BufReader<File>,
    session: Option<String>,
    last_id: u64,
    /// What came unasked.
    events: VecDeque<Value>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser with an empty page.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let pipe = |name: &str| profile.path().join(name);
        let made = Command::new("mkfifo").args([pipe("orders"), pipe("answers")]).status().unwrap();
        assert!(made.success(), "mkfifo failed");
        // A shell, because only it opens the files as descriptors 3 and 4, where Chromium wants them.
        let script = "exec 3<\"$1/orders\" 4>\"$1/answers\"; exec chromium --headless --no-sandbox --disable-gpu \
             --disable-dev-shm-usage --no-first-run --hide-scrollbars --remote-debugging-pipe \"--user-data-dir=$1/data\" about:blank";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(profile.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let orders = File::options().write(true).open(pipe("orders")).unwrap();
        let answers = BufReader::new(File::open(pipe("answers")).unwrap());
        let mut browser =
            Self { child, orders, answers, session: None, last_id: 0, events: VecDeque::new(), _profile: profile };
        let targets = browser.ask("Target.getTargets", json!({}));
        let page = targets["targetInfos"].as_array().unwrap().iter().find(|target| target["type"] == "page").unwrap();
        let attached = browser.ask("Target.attachToTarget", json!({ "targetId": page["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        ["Page.enable", "Runtime.enable", "Log.enable"]
            .into_iter()
            .for_each(|method| drop(browser.ask(method, json!({}))));
        browser
    }

    /// Sends one order and waits for its answer.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut order = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        self.orders.write_all(format!("{order}\0").as_bytes()).unwrap();
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).unwrap();
            answer.pop();
            assert!(!answer.is_empty(), "chromium has ended: is the Debian package chromium installed?");
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            if answer["id"] == self.last_id {
                assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push_back(answer);
        }
    }

    /// Opens a page in a window of this size and scheme (`light` or `dark`), and waits until it has drawn once.
    pub fn open(&mut self, url: &str, width: u32, height: u32, scheme: &str) {
        self.resize(width, height);
        let media = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", json!({ "features": media }));
        self.ask("Page.navigate", json!({ "url": url }));
        self.ask("Page.bringToFront", json!({}));
        self.until_drawn(1);
    }

    /// Changes the size of the window.
    pub fn resize(&mut self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Waits until the page has drawn so many answers.
    pub fn until_drawn(&mut self, times: u32) {
        let drawn = format!(
            "new Promise((done) => {{ const look = () => Number(document.body?.dataset.drawn ?? 0) >= {times} && \
             location.href !== 'about:blank' ? done(true) : setTimeout(look, 20); look(); }})"
        );
        self.run(&drawn);
    }

    /// The value of an expression; a promise is waited for.
    pub fn run(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.ask("Runtime.evaluate", params);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// The text of the first element that a selector finds.
    pub fn text(&mut self, selector: &str) -> String {
        self.run(&format!("document.querySelector({selector:?}).innerText")).as_str().unwrap_or_default().to_owned()
    }

    /// Errors and warnings on the console so far, and whatever the policy refused.
    pub fn complaints(&mut self) -> Vec<String> {
        self.run("1"); // what was said before this answer has arrived with it
        let complaint = |event: Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => Some(event["params"]["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled") => Some(event["params"]["args"].to_string()),
            Some("Log.entryAdded") => Some(event["params"]["entry"].to_string()),
            _ => None,
        };
        self.events.drain(..).filter_map(complaint).collect()
    }

    /// Writes the whole page as a PNG.
    pub fn picture(&mut self, file: &Path) {
        let answer = self.ask("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true }));
        use base64::Engine;
        let png = base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, png).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
