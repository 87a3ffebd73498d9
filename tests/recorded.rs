//! Recorded traces: judged offline they give what the run gave, they hold no secret, and damage is told.
//!
//! Both ways of running are compared: over sockets by the reports, on virtual time by the judgements of all shipped
//! scenarios, conformant and with mutants.

use std::time::Duration;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bridgeproof::check::{CheckConfig, check};
use bridgeproof::cli::progress::Shown;
use bridgeproof::cli::run::Args;
use bridgeproof::config::RunConfig;
use bridgeproof::emulator::{MeetingServer, Settings, mutants};
use bridgeproof::engine::Options;
use bridgeproof::net::clock::Clock;
use bridgeproof::net::emulator_shell::{ShellOptions, start};
use bridgeproof::net::target::{Account, Accounts};
use bridgeproof::protocol::api::names::TOKEN_HEADER;
use bridgeproof::report::folder;
use bridgeproof::report::model::{Report, Verdict};
use bridgeproof::rules::{Context, Deadlines, Judge, Judgement};
use bridgeproof::run::{TRACE_FILE, run};
use bridgeproof::scenario::syntax::{Judged, Scenario};
use bridgeproof::scenario::{library, parse};
use bridgeproof::simulation::{Limits, Server, simulate};
use bridgeproof::spec::Version;
use bridgeproof::trace::Scratch;
use bridgeproof::trace::format::{Line, read_line, write_observation};
use bridgeproof::trace::{Event, Observation, Secrets, Side, Sink};
use serde_json::Value;

fn recorded_run(args: Args, folder: &Path) -> Report {
    let args = Args { record: true, quiet: true, report_dir: Some(folder.to_owned()), ..args };
    let config = RunConfig::resolve(args, &jiff::Zoned::default()).unwrap();
    folder::prepare(folder).unwrap();
    run(config, &mut Shown::new(true)).unwrap()
}

fn checked(trace: &Path) -> Report {
    check(CheckConfig { traces: vec![trace.to_owned()], ..CheckConfig::default() }).unwrap()
}

fn unpacked(folder: &Path) -> String {
    let bytes = fs::read(folder.join(TRACE_FILE)).unwrap();
    String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap()
}

/// A report as JSON, without what is not part of judging: when the report was made and what that took, and the beginnings
/// of tokens.
fn compared(report: &Report) -> Value {
    let mut json = serde_json::to_value(report).unwrap();
    json["run"]["duration_ms"] = Value::Null;
    json.as_object_mut().unwrap().remove("harness");
    for finding in json["findings"].as_array_mut().unwrap() {
        for line in finding["evidence_text"].as_array_mut().unwrap() {
            let text = line.as_str().unwrap();
            *line = Value::from(text.split("authToken=").next().unwrap());
        }
    }
    json
}

#[test]
fn a_recorded_run_is_judged_as_it_was_live() {
    let selected = [
        "authentication/two-tokens",
        "authentication/token-altered",
        "authentication/token-in-header",
        "authentication/no-credentials",
        "messages/not-json",
        "subscriptions/kept",
        "updates/mute",
        "clients/acks",
    ];
    for mutant in [None, Some("same-token-again"), Some("any-token-opens"), Some("new-token-ends-the-old")] {
        let root = tempfile::tempdir().unwrap();
        let args = Args {
            scenarios: selected.map(str::to_owned).to_vec(),
            seed: Some(11),
            mutant: mutant.map(str::to_owned).into_iter().collect(),
            deadline: Some(Duration::from_secs(1)),
            ..Args::default()
        };
        let live = recorded_run(args, root.path());
        assert_eq!(live.findings.is_empty(), mutant.is_none(), "{mutant:?}: {:?}", live.findings);
        let offline = checked(&root.path().join(TRACE_FILE));
        assert_eq!(compared(&live), compared(&offline), "{mutant:?}");
        let plain = root.path().join("trace.jsonl");
        fs::write(&plain, unpacked(root.path())).unwrap();
        assert_eq!(compared(&live), compared(&checked(&plain)), "{mutant:?}");
    }
}

/// The tokens that a server was shown.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<BTreeSet<String>>>);

impl Sink for Shared {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.0.lock().unwrap().extend(tokens(observation));
    }
}

fn tokens(observation: &Observation<'_>) -> Vec<String> {
    match &observation.event {
        Event::ResponseReceived { response, .. } => response.headers.all(TOKEN_HEADER).map(str::to_owned).collect(),
        Event::Opening { request, .. } => {
            let in_query = request.parameter("authToken").into_iter();
            in_query.chain(request.headers.all(TOKEN_HEADER).map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn no_token_and_no_password_is_in_the_file() {
    let root = tempfile::tempdir().unwrap();
    let secret = root.path().join("secret");
    fs::write(&secret, "correct-horse-battery").unwrap();
    let accounts = Accounts { privileged: Account::new("tester", "correct-horse-battery"), unprivileged: None };
    let seen = Shared::default();
    let options = ShellOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        accounts,
        observer: Some(Box::new(seen.clone())),
        tell: None,
    };
    let server = MeetingServer::new(Settings::default(), Vec::new(), 1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let shell = runtime.block_on(start(server, options, Clock::start())).unwrap();
    let folder = root.path().join("report");
    let args = Args {
        scenarios: vec!["authentication/to*".to_owned(), "subscriptions/kept".to_owned()],
        target: vec![shell.url()],
        user: Some("tester".to_owned()),
        password_file: Some(secret),
        seed: Some(12),
        deadline: Some(Duration::from_secs(1)),
        ..Args::default()
    };
    let live = recorded_run(args, &folder);
    runtime.block_on(shell.stop());
    assert_eq!(compared(&live), compared(&checked(&folder.join(TRACE_FILE))));
    let text = unpacked(&folder);
    let mut secrets: Vec<String> = seen.0.lock().unwrap().iter().filter(|token| token.len() > 4).cloned().collect();
    assert!(secrets.len() > 5, "the server was shown tokens: {secrets:?}");
    secrets.push("correct-horse-battery".to_owned());
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} is in the trace");
    }
}

#[test]
fn a_file_that_is_cut_or_damaged_is_judged_as_far_as_it_can_be_read() {
    let root = tempfile::tempdir().unwrap();
    let args = Args { scenarios: vec!["updates/mute".to_owned()], seed: Some(13), ..Args::default() };
    recorded_run(args, root.path());
    let text = unpacked(root.path());
    let lines: Vec<&str> = text.lines().collect();
    let file = root.path().join("other.jsonl");
    let judged = |text: &str| {
        fs::write(&file, text).unwrap();
        checked(&file)
    };
    let cut = judged(&text[..text.len() / 2]);
    let number = text[..text.len() / 2].lines().count();
    assert!(cut.errors[0].contains(&format!("line {number}: the file is cut off")), "{:?}", cut.errors);
    assert!(cut.findings.is_empty() && cut.exit_code == 5 && cut.requirements.iter().any(|one| one.tested > 0));
    let mut damaged = lines.clone();
    damaged[lines.len() / 2] = "{\"seq\":";
    let damaged = judged(&damaged.join("\n"));
    assert!(damaged.errors[0].contains(&format!("line {}: ", lines.len() / 2 + 1)), "{:?}", damaged.errors);
    assert!(damaged.findings.is_empty() && damaged.exit_code == 5, "{:?}", damaged.findings);
    let without_end = judged(&lines[..lines.len() - 1].join("\n"));
    assert_eq!(without_end.verdict, Verdict::Inconclusive, "what is missing could be anything");
    assert!(without_end.errors[0].contains("cut off") && without_end.exit_code == 5, "{:?}", without_end.errors);
    let bytes = text.as_bytes();
    for at in (lines[0].len() + 1..bytes.len()).step_by(bytes.len() / 80 + 1) {
        // Wherever the byte falls, there is a report; numbers may have become large.
        fs::write(&file, [&bytes[..at], b"99999999999", &bytes[at + 1..]].concat()).unwrap();
        checked(&file);
    }
    for (text, why) in [("", "no trace"), ("{}", "no trace"), ("{\"trace\":99}", "version 99"), ("GIF89a", "no trace")]
    {
        fs::write(&file, text).unwrap();
        let failure = check(CheckConfig { traces: vec![file.clone()], ..CheckConfig::default() }).unwrap_err();
        assert!(failure.message.contains(why) && failure.code.number() == 2, "{text}: {failure}");
    }
}

/// Judges live, and takes down what is judged.
struct Taken {
    judge: Judge,
    secrets: Secrets,
    lines: Vec<Vec<u8>>,
    tokens: BTreeSet<String>,
}

impl Sink for Taken {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.judge.observe(observation);
        let mut line = Vec::new();
        write_observation("a/b", observation, &mut self.secrets, &mut line);
        self.lines.push(line);
        self.tokens.extend(tokens(observation).into_iter().filter(|token| token.len() > 8));
    }

    fn due(&self) -> Option<bridgeproof::time::Instant> {
        self.judge.due()
    }
}

fn scenarios() -> Vec<(String, Scenario)> {
    let read = |source: library::Source| (source.id, parse::read(&source.file, &source.text).unwrap());
    library::conformance().into_iter().map(read).collect()
}

/// The judgement of a scenario on virtual time, and that of its trace, written and read again.
fn both_ways(id: &str, scenario: &Scenario, mutant: Option<&str>) -> (Judgement, Judgement) {
    let context = Context {
        judged: if scenario.judge == Judged::Client { Side::Client } else { Side::Server },
        observer: Side::Client,
        version: Version::LATEST,
        clustered: Some(false),
        deadlines: Deadlines::default(),
    };
    let sink =
        Taken { judge: Judge::new(context), secrets: Secrets::new(), lines: Vec::new(), tokens: BTreeSet::new() };
    let mutants = mutant.map(|name| mutants::make(name).unwrap()).into_iter().collect();
    let server = Server { settings: Settings::default(), mutants, seed: 4 };
    let (taken, _) =
        simulate(id, scenario, Options { seed: 4, ..Options::default() }, server, sink, &Limits::default());
    let mut again = Judge::new(context);
    let mut scratch = Scratch::default();
    for line in &taken.lines {
        let text = String::from_utf8_lossy(line);
        assert!(!taken.tokens.iter().any(|token| text.contains(token)), "{id} {mutant:?}: a token is in {text}");
        let Ok(Line::Observation(_, recorded)) = read_line(line) else { panic!("{id} {mutant:?}: {text}") };
        again.observe(&recorded.lend(&mut scratch));
    }
    (taken.judge.finish(), again.finish())
}

#[test]
fn every_scenario_is_judged_the_same_from_its_written_trace() {
    for (id, scenario) in &scenarios() {
        let (live, offline) = both_ways(id, scenario, None);
        assert!(live.tested.values().any(|times| *times > 0), "{id}");
        assert_eq!(live, offline, "{id}");
    }
}

#[test]
fn every_mutant_is_judged_the_same_from_its_written_trace() {
    let scenarios = scenarios();
    let mut found = 0;
    for mutant in mutants::ALL.iter().copied().flatten() {
        let about = |scenario: &Scenario| scenario.exercises.iter().any(|name| name.value == mutant.breaks);
        for (id, scenario) in scenarios.iter().filter(|(_, scenario)| about(scenario)).take(1) {
            let (live, offline) = both_ways(id, scenario, Some(mutant.name));
            found += live.findings.len();
            assert_eq!(live, offline, "{} {id}", mutant.name);
        }
    }
    assert!(found > 50, "mutants were found out: {found}");
}
