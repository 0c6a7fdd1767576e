//! A browser without a window, told what to do through a pipe: the
//! [DevTools protocol](https://chromedevtools.github.io/devtools-protocol/), each message ended by NUL.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{CWD, FileType, Mode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::host;

/// A page in a browser. Dropping it ends the browser.
#[derive(Debug)]
pub struct Page {
    child: Child,
    commands: File,
    answers: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// Its profile and the pipes.
    _folder: TempDir,
}

/// How long anything may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

impl Page {
    /// Opens a file. `None` if there is no browser here.
    pub fn open(file: &Path) -> Result<Option<Self>> {
        let Some(program) = host::find("chromium").or_else(|| host::find("chromium-browser")) else {
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        let (input, output) = (folder.path().join("input"), folder.path().join("output"));
        for pipe in [&input, &output] {
            rustix::fs::mknodat(CWD, pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        }
        // The pipe's ends are the descriptors 3 and 4, which a shell can give.
        let script =
            "program=$1; input=$2; output=$3; shift 3; exec \"$program\" \"$@\" 3<\"$input\" 4>\"$output\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(program).arg(&input).arg(&output);
        command.args([
            "--headless",
            "--remote-debugging-pipe",
            "--no-first-run",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--window-size=1200,1000",
        ]);
        if host::is_root() {
            // Its own sandbox does not work for root; the page is ours.
            command.arg("--no-sandbox");
        }
        command.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
        // It leaves directories behind where others keep what is temporary.
        command.env("TMPDIR", folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("cannot start the browser")?;
        let commands = File::options().write(true).open(&input)?;
        let answers = BufReader::new(File::open(&output)?);
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for message in answers.split(0).map_while(Result::ok) {
                let Ok(value) = serde_json::from_slice(&message) else { return };
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut page = Page { child, commands, answers: receiver, session: None, last: 0, _folder: folder };
        let url = format!("file://{}", file.display());
        let target = page.call("Target.createTarget", json!({ "url": url }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = page.call("Target.attachToTarget", attach)?;
        page.session = session["sessionId"].as_str().map(str::to_owned);
        let start = Instant::now();
        while page.ask(&format!("document.readyState + location.href === 'complete{url}'"))? != json!(true) {
            ensure!(start.elapsed() < PATIENCE, "the page does not load");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(page))
    }

    /// Calls a method; what it gives back.
    pub fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes)?;
        loop {
            let answer =
                self.answers.recv_timeout(PATIENCE).with_context(|| format!("{method}: no answer"))?;
            if answer["id"] == self.last {
                if let Some(error) = answer.get("error") {
                    bail!("{method}: {error}");
                }
                return Ok(answer["result"].clone());
            }
        }
    }

    /// The value of an expression on the page.
    pub fn ask(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", parameters)?;
        ensure!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        Ok(answer["result"]["value"].clone())
    }

    /// Clicks on the middle of the first element that a selector finds, as a mouse does.
    pub fn click(&mut self, selector: &str) -> Result<()> {
        let middle = self.ask(&format!(
            "(() => {{ const found = document.querySelector({selector:?}); found.scrollIntoView({{block: 'center'}}); \
             const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ))?;
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({ "type": kind, "x": middle[0], "y": middle[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
