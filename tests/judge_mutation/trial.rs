//! Building the mutated copy, and trying its mutations: on the unit tests of the rules, then on the corpus.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::mutate::regions;

/// How long the tests that reach a mutation may take before it counts as killed. They take a fraction of a second, and
/// one that does not end runs out of switches to pass much sooner; so a busy machine kills nothing.
const TESTS_LIMIT: Duration = Duration::from_secs(300);

/// How many times the switches that they pass without any mutation they may pass with one.
const TESTS_FUEL: u64 = 20;

/// How many tests are tried first: those that reach the least.
const FIRST_TESTS: usize = 6;

/// The copy of the project that holds the mutations, and what belongs to it.
pub(crate) struct Copy {
    /// Where it is.
    pub(crate) root: PathBuf,
    /// Where everything is built: dependencies are the project's own.
    pub(crate) target: PathBuf,
    /// Where results are kept.
    pub(crate) work: PathBuf,
    /// How many switches judging the corpus again may pass for one mutation.
    pub(crate) patience: u64,
}

/// What a unit test passes without any mutation.
pub(crate) struct Passed {
    name: String,
    /// How many switches, counting each time.
    times: u64,
    /// The mutations that it reaches.
    reached: BTreeSet<usize>,
}

/// What came of the mutations that were tried.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    /// Killed by unit tests.
    pub(crate) by_tests: BTreeSet<usize>,
    /// Killed by the corpus, with the trace and what it shows.
    pub(crate) by_corpus: BTreeMap<usize, String>,
    /// Survivors, with how many traces were judged of how many that reach them.
    pub(crate) survivors: BTreeMap<usize, (usize, usize)>,
}

/// How many mutations are tried at a time.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How building ended.
pub(crate) enum Built {
    /// The program of the unit tests.
    Program(PathBuf),
    /// The numbers of mutations that do not compile.
    Unviable(BTreeSet<usize>),
}

impl Copy {
    /// Builds the unit tests; `texts` are the rewritten files by their paths below the root.
    pub(crate) fn build(&self, texts: &BTreeMap<String, String>) -> Result<Built, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["test", "--lib", "--no-run", "--locked", "--message-format=json"])
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cargo cannot be run: {error}"))?;
        let messages = String::from_utf8_lossy(&output.stdout);
        let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let (mut program, mut wrong, mut unplaced) = (None, BTreeSet::new(), String::new());
        for message in messages {
            if let Some(path) = message["executable"].as_str() {
                program = Some(PathBuf::from(path));
            }
            if message["message"]["level"] == "error" && message["message"]["spans"][0].is_object() {
                match blamed(&message["message"]["spans"], texts) {
                    Some(number) => _ = wrong.insert(number),
                    None => unplaced += message["message"]["rendered"].as_str().unwrap_or_default(),
                }
            }
        }
        if output.status.success() {
            return program.map(Built::Program).ok_or_else(|| "cargo names no program".to_owned());
        }
        if wrong.is_empty() {
            Err(format!("the copy does not compile:\n{unplaced}"))
        } else {
            Ok(Built::Unviable(wrong))
        }
    }

    /// The tests of the rules, those that pass the fewest switches first.
    pub(crate) fn tests(&self, program: &Path) -> Result<Vec<Passed>, String> {
        let folder = self.work.join("reached");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        // On one thread tests would run on the main thread, which does not bear their names.
        let mut command = self.command(program);
        command.args(["rules::", "--test-threads=2", "-q"]).env("JUDGE_MUTATION_REACHED", &folder);
        if !command.status().is_ok_and(|status| status.success()) {
            return Err("the tests of the rules do not pass without any mutation".to_owned());
        }
        let mut tests = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|error| error.to_string())?.flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let mut numbers = text.lines().filter_map(|line| line.parse::<u64>().ok());
            tests.push(Passed {
                name: entry.file_name().to_string_lossy().replace('+', "::"),
                times: numbers.next().unwrap_or_default(),
                reached: numbers.map(|number| number as usize).collect(),
            });
        }
        tests.sort_by_key(|test| test.times);
        Ok(tests)
    }

    /// Whether a unit test fails with the mutation.
    pub(crate) fn tests_kill(&self, program: &Path, number: usize, tests: &[Passed]) -> bool {
        let reaching: Vec<&Passed> = tests.iter().filter(|test| test.reached.contains(&number)).collect();
        let (first, rest) = reaching.split_at(FIRST_TESTS.min(reaching.len()));
        [first, rest].into_iter().filter(|tests| !tests.is_empty()).any(|tests| {
            let fuel = 10_000 + TESTS_FUEL * tests.iter().map(|test| test.times).sum::<u64>();
            let mut command = self.command(program);
            command.args(tests.iter().map(|test| &test.name)).args(["--exact", "--test-threads=1", "-q"]);
            command.env("JUDGE_MUTATION", number.to_string()).env("JUDGE_MUTATION_FUEL", fuel.to_string());
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            command.spawn().map_or(true, |child| !passes(child))
        })
    }

    /// Judges the corpus again with each of the mutations, and enters what comes of it.
    pub(crate) fn judge_corpus(
        &self,
        program: &Path,
        corpus: &Path,
        numbers: &BTreeSet<usize>,
        fates: &mut Fates,
    ) -> Result<(), String> {
        if !corpus.exists() {
            let made = corpus.with_extension("part");
            let mut command = self.command(program);
            command.args(["rules::mutation::corpus::corpus_is_played", "--exact", "--ignored", "-q"]);
            if !command.env("JUDGE_MUTATION_CORPUS", &made).status().is_ok_and(|status| status.success()) {
                return Err("the corpus cannot be made".to_owned());
            }
            fs::rename(&made, corpus).map_err(|error| error.to_string())?;
        }
        let all: Vec<usize> = numbers.iter().copied().collect();
        let judge = |worker| {
            let share = all.iter().copied().skip(worker).step_by(workers()).collect();
            self.judge_share(program, corpus, share, worker)
        };
        std::thread::scope(|scope| {
            let shares: Vec<_> = (0..workers()).map(|worker| scope.spawn(move || judge(worker))).collect();
            shares.into_iter().try_for_each(|share| {
                let share = share.join().map_err(|_| "judging the corpus broke down".to_owned())??;
                fates.by_corpus.extend(share.by_corpus);
                fates.survivors.extend(share.survivors);
                Ok(())
            })
        })
    }

    /// What one worker does of it.
    fn judge_share(
        &self,
        program: &Path,
        corpus: &Path,
        mut left: BTreeSet<usize>,
        worker: usize,
    ) -> Result<Fates, String> {
        let mut fates = Fates::default();
        let (wanted, out) = (self.work.join(format!("wanted-{worker}")), self.work.join(format!("judged-{worker}")));
        while !left.is_empty() {
            let text: String = left.iter().map(|number| format!("{number}\n")).collect();
            fs::write(&wanted, text).map_err(|error| error.to_string())?;
            let _ = fs::remove_file(&out);
            let mut command = self.command(program);
            command.args(["rules::mutation::corpus::corpus_is_judged", "--exact", "--ignored", "-q", "--nocapture"]);
            command.env("JUDGE_MUTATION_CORPUS", corpus).env("JUDGE_MUTATION_WANTED", &wanted);
            command.env("JUDGE_MUTATION_OUT", &out);
            command.env("JUDGE_MUTATION_LIMIT", self.patience.to_string());
            let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            let before = left.len();
            enter(&fs::read_to_string(&out).unwrap_or_default(), &mut left, &mut fates);
            if left.len() == before {
                return Err("the corpus cannot be judged".to_owned());
            }
        }
        Ok(fates)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // To put names to the places of a panic would take longer than the test.
        command.current_dir(&self.root).env("RUST_BACKTRACE", "0");
        command
    }
}

/// Enters what a process said that judged the corpus. The one that it was at when it died is killed.
fn enter(said: &str, left: &mut BTreeSet<usize>, fates: &mut Fates) {
    let mut begun = None;
    for line in said.lines() {
        let mut words = line.splitn(3, ' ');
        let Some(number) = words.next().and_then(|word| word.parse().ok()) else {
            begun = None;
            continue;
        };
        let (word, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        begun = (word == "begun").then_some(number);
        match word {
            "killed" => _ = fates.by_corpus.insert(number, rest.to_owned()),
            "survived" => {
                let counts: Vec<usize> = rest.split(' ').filter_map(|count| count.parse().ok()).collect();
                fates.survivors.insert(number, (counts[0], counts[1]));
            }
            _ => continue,
        }
        left.remove(&number);
    }
    if let Some(number) = begun {
        fates.by_corpus.insert(number, "judging breaks down".to_owned());
        left.remove(&number);
    }
}

/// Whether a process ends in time and well.
fn passes(mut child: Child) -> bool {
    let Some(mut stdout) = child.stdout.take() else { return false };
    let (sender, done) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = stdout.read_to_end(&mut Vec::new());
        let _ = sender.send(());
    });
    if done.recv_timeout(TESTS_LIMIT).is_err() {
        let _ = child.kill();
        let _ = child.wait();
        return false;
    }
    child.wait().is_ok_and(|status| status.success())
}

/// The mutation that an error of the compiler is about: the innermost around one of its places.
fn blamed(spans: &Value, texts: &BTreeMap<String, String>) -> Option<usize> {
    let mut spans: Vec<&Value> = spans.as_array()?.iter().collect();
    spans.sort_by_key(|span| span["is_primary"] != true);
    spans.into_iter().find_map(|span| {
        let text = texts.get(span["file_name"].as_str()?)?;
        let at = usize::try_from(span["byte_start"].as_u64()?).ok()?;
        let around = regions(text).into_iter().filter(|(_, region)| region.contains(&at));
        around.min_by_key(|(_, region)| region.len()).map(|(number, _)| number)
    })
}
