//! `--build-report`: listens to a build, and writes a page about it at its end, however that is.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use builder::{Event, Report, StageName, SummaryOrigin};
use registry::{Client, ClientOptions, Direction, Progress};
use report::{BuildReport, Explanation, Layer, Origin, Outcome, Step, StepState};

/// As much of what a step prints is shown, from its end.
const OUTPUT: usize = 8 * 1024;

/// Hears everything, and passes it on.
pub(crate) struct Recorder {
    report: Arc<dyn Report>,
    start: Instant,
    began: i64,
    traffic: Arc<Traffic>,
    heard: Mutex<Heard>,
}

/// Bytes to and from registries.
#[derive(Default)]
struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
}

#[derive(Default)]
struct Heard {
    steps: Vec<Step>,
    /// Of the steps that have begun and are not done, of each stage at most one: which, and how things stood when it
    /// began.
    open: BTreeMap<Arc<StageName>, (usize, Standing)>,
    layers: Vec<Layer>,
    explanations: Vec<Explanation>,
    warnings: Vec<String>,
}

/// How things stand at a moment.
#[derive(Clone, Copy, Default)]
struct Standing {
    elapsed: Duration,
    cpu: Duration,
    received: u64,
    sent: u64,
}

impl Recorder {
    /// Begins to listen; `began` is the time, in seconds since 1970.
    pub(crate) fn new(report: Arc<dyn Report>, began: i64) -> Self {
        let traffic = Arc::default();
        Recorder { report, start: Instant::now(), began, traffic, heard: Mutex::default() }
    }

    /// A client whose traffic is counted.
    pub(crate) fn count(&self, client: &Client) -> registry::Result<Client> {
        let traffic = self.traffic.clone();
        let progress = Progress::new(move |some| {
            let sum = match some.direction {
                Direction::Received => &traffic.received,
                Direction::Sent => &traffic.sent,
            };
            sum.fetch_add(some.bytes, Ordering::Relaxed);
        });
        Client::new(ClientOptions { progress: Some(progress), ..client.options().clone() })
    }

    fn standing(&self) -> Standing {
        Standing {
            elapsed: self.start.elapsed(),
            cpu: cpu_time(),
            received: self.traffic.received.load(Ordering::Relaxed),
            sent: self.traffic.sent.load(Ordering::Relaxed),
        }
    }

    fn hear(&self, event: &Event) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = &mut *heard;
        match event {
            Event::Step { stage, text, .. } => {
                let now = self.standing();
                let name = match &stage.platform {
                    Some(platform) => format!("{platform} {}", stage.name),
                    None => stage.name.clone(),
                };
                let step = Step { stage: name, text: text.clone(), start: now.elapsed, ..Step::default() };
                heard.open.insert(stage.clone(), (heard.steps.len(), now));
                heard.steps.push(step);
            }
            Event::StepDone { stage, layer, cached, .. } => {
                if let Some((number, began)) = heard.open.remove(stage) {
                    let state = match (cached, layer) {
                        (true, _) => StepState::Cached,
                        (false, Some(_)) => StepState::Made,
                        (false, None) => StepState::Noted,
                    };
                    let step = &mut heard.steps[number];
                    step.layer = *layer;
                    end(step, state, began, self.standing());
                }
            }
            Event::Output { stage, bytes, .. } => {
                if let Some((number, _)) = heard.open.get(stage) {
                    let output = &mut heard.steps[*number].output;
                    output.push_str(&String::from_utf8_lossy(bytes));
                    if output.len() > 2 * OUTPUT {
                        let from = output.len() - OUTPUT;
                        let from = (from..output.len()).find(|at| output.is_char_boundary(*at));
                        output.drain(..from.unwrap_or_default());
                    }
                }
            }
            Event::Explained { stage, step, found, reason, differences } => {
                heard.explanations.push(Explanation {
                    stage: stage.clone(),
                    step: step.clone(),
                    found: *found,
                    reason: reason.clone(),
                    differences: differences.clone(),
                });
            }
            Event::Warning(warning) => heard.warnings.push(match &warning.rule {
                Some(rule) => format!("{}: {}", rule.name(), warning.text),
                None => warning.text.clone(),
            }),
            Event::Layers(layers) => {
                let layers = layers.iter().map(|layer| Layer {
                    digest: layer.descriptor.digest.to_string(),
                    size: layer.descriptor.size,
                    origin: match layer.origin {
                        SummaryOrigin::Base => Origin::Base,
                        SummaryOrigin::Cache => Origin::Cached,
                        SummaryOrigin::Built => Origin::Built,
                    },
                    created_by: layer.created_by.clone(),
                    contents: layer.directories.clone(),
                });
                heard.layers.extend(layers);
            }
            _ => {}
        }
    }

    /// Writes the page.
    pub(crate) fn write(
        &self,
        path: &Path,
        names: Vec<String>,
        outcome: Result<&builder::Outcome, &builder::Error>,
    ) -> Result<()> {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        let Heard { mut steps, open, layers, explanations, warnings } = heard;
        let now = self.standing();
        for (number, began) in open.into_values() {
            end(&mut steps[number], StepState::Failed, began, now);
        }
        let timings = outcome.map(|outcome| outcome.timings.list()).unwrap_or_default();
        let page = report::render(&BuildReport {
            names,
            digest: outcome.ok().map(|outcome| outcome.digest.to_string()),
            outcome: match outcome {
                Ok(_) => Outcome::Succeeded,
                Err(error) => Outcome::Failed(error.to_string()),
            },
            started: builder::rfc3339(self.began),
            elapsed: now.elapsed,
            cpu: now.cpu,
            received: now.received,
            sent: now.sent,
            tool: concat!("bako ", env!("CARGO_PKG_VERSION")).to_owned(),
            steps,
            layers,
            explanations,
            warnings,
            timings: timings.into_iter().map(|(kind, time)| (kind.to_owned(), time)).collect(),
        });
        save(path, page.as_bytes()).with_context(|| format!("--build-report {}", path.display()))
    }
}

impl Report for Recorder {
    fn event(&self, event: Event) {
        self.hear(&event);
        self.report.event(event);
    }
}

fn end(step: &mut Step, state: StepState, began: Standing, now: Standing) {
    step.state = state;
    step.elapsed = now.elapsed.saturating_sub(began.elapsed);
    step.cpu = now.cpu.saturating_sub(began.cpu);
    step.received = now.received.saturating_sub(began.received);
    step.sent = now.sent.saturating_sub(began.sent);
}

/// Replaces a file as a whole; what is no file, as a pipe, is written to.
fn save(path: &Path, page: &[u8]) -> std::io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return std::fs::write(path, page);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(page)?;
    std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Time of processors that this process has had, and those of its children that have ended. Zero where there is no
/// `/proc`.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    Duration::from_millis(ticks(&text) * 1000 / TICKS)
}

/// In a second, which Linux promises to programs (`USER_HZ`).
const TICKS: u64 = 100;

/// The sum of `utime`, `stime`, `cutime` and `cstime` (proc_pid_stat(5)). The program's name before them may hold
/// anything, but ends with the last parenthesis.
fn ticks(stat: &str) -> u64 {
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_processors() {
        for (stat, expected) in
            [("1 (a b) c) S 1 1 1 0 -1 4194560 1 2 3 4 10 20 300 4000 20 0", 4330), ("", 0), ("1 (x) R 1", 0)]
        {
            assert_eq!(ticks(stat), expected, "{stat}");
        }
    }

    struct Nobody;

    impl Report for Nobody {
        fn event(&self, _: Event) {}
    }

    #[test]
    fn what_was_heard_is_on_the_page() {
        let recorder = Recorder::new(Arc::new(Nobody), 0);
        let stage = |name: &str| {
            let platform = Some("linux/arm64".to_owned());
            Arc::new(StageName { name: name.to_owned(), platform, is_one_of_several: true })
        };
        let step = |name: &str, text: &str| Event::Step {
            number: 1,
            total: 2,
            stage: stage(name),
            text: text.to_owned(),
        };
        recorder.event(step("build", "RUN make"));
        recorder.event(step("other", "RUN fail"));
        recorder.event(Event::Output {
            stage: stage("build"),
            stream: sandbox::Stream::Stdout,
            bytes: [&[b'x'; 20_000][..], b"the <end>"].concat(),
        });
        let (layer, cached) = (Some(1234), false);
        recorder.event(Event::StepDone { stage: stage("build"), elapsed: Duration::ZERO, layer, cached });
        let failing = recorder.heard.lock().unwrap().steps.pop().unwrap();
        assert_eq!(
            (failing.text.as_str(), failing.output.as_str()),
            ("RUN fail", ""),
            "output is its own stage's"
        );
        recorder.heard.lock().unwrap().steps.push(failing);
        recorder.event(builder::Warning::new("beware").into());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        let error = builder::Error::new("it broke");
        recorder.write(&path, vec!["r.example/a:1".to_owned()], Err(&error)).unwrap();
        let page = std::fs::read_to_string(&path).unwrap();
        for text in [
            "data-state=\"made\"",
            "data-state=\"failed\"",
            "the &lt;end&gt;",
            "beware",
            "linux/arm64 other",
            "it broke",
            "1.2 kB",
        ] {
            assert!(page.contains(text), "{text}");
        }
        assert!(page.len() < 60_000, "{}", page.len());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(recorder.write(&folder.path().join("no/such"), Vec::new(), Err(&error)).is_err());
    }
}
