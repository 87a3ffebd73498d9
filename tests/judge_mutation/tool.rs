//! Mutation of the judge itself: does anything notice when a rule is wrong?
//!
//! `cargo run --example judge_mutation -- [--list] [--survivors] [--seconds=N] [PART]...` copies the project below the target folder,
//! rewrites `src/rules` there so that it holds all mutations at once ([`mutate`]), builds it once, and tries one mutation
//! after the other: first on those unit tests of the rules that reach it, then on a corpus of recorded plays that reach it,
//! where it must change a verdict ([`trial`]). What survives is printed unless `docs/JUDGE-MUTATION.md` explains it
//! ([`explained`]); explanations that no longer hold are printed as well. Exit code 1 if there is either.
//!
//! A PART narrows it to mutations whose key contains it, such as `msg.rs` or `cdr/`; `--survivors` to those that survived
//! last time; `--seconds` says for how long recorded plays may be judged for each mutation, on a quiet machine (counted in
//! switches, so that a busy one comes to the same); `--list` tries none and shows them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own, whose output this is")]

mod explained;
mod mutate;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mutate::{Mutation, Whole};
use trial::{Built, Copy, Fates};

/// For how many seconds the corpus may be judged again for one mutation, unless it is said.
const PATIENCE: u64 = 20;

/// How many switches a quiet machine passes in a second.
const PER_SECOND: u64 = 30_000_000;

/// What is no rule: tests, and the traces that they are written in.
const NO_RULES: [&str; 2] = ["tests/", "script.rs"];

/// What is added to the manifest of the copy: the corpus is judged thousands of times.
const QUICKER: &[u8] = b"\n[profile.dev.package.bridgeproof]\nopt-level = 1\ndebug = false\n";

/// What begins the library of the copy, since nobody is to read the code in it.
const SILENT: &[u8] = b"#![allow(warnings)]\n";

/// What is not copied.
const NOT_COPIED: [&str; 3] = ["target", "reports", ".git"];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn run(words: &[String]) -> Result<bool, String> {
    let (flags, parts): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| word.starts_with("--"));
    let mut patience = PATIENCE;
    for flag in &flags {
        match flag.strip_prefix("--seconds=").map(str::parse) {
            Some(Ok(seconds)) => patience = seconds,
            None if ["--list", "--survivors"].contains(&flag.as_str()) => {}
            _ => return Err(format!("unknown option {flag}")),
        }
    }
    let flag = |name: &str| flags.iter().any(|flag| *flag == name);
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let examples = program.parent().filter(|folder| folder.ends_with("debug/examples"));
    let target = examples.and_then(|folder| folder.ancestors().nth(2)).ok_or("start it with cargo run --example")?;
    let target = target.to_owned();
    let work = target.join("judge-mutation");
    let copy = Copy { root: work.join("copy"), target, work, patience: patience * PER_SECOND };
    if flag("--list") {
        let (whole, _) = rewritten(project, BTreeSet::new())?;
        chosen(&whole, &parts, None).iter().for_each(|number| println!("{}", whole.key(*number)));
        return Ok(true);
    }
    let (whole, program) = build(project, &copy)?;
    let last = copy.work.join("survivors");
    let before = flag("--survivors").then(|| fs::read_to_string(&last).unwrap_or_default());
    let mut numbers = chosen(&whole, &parts, before.as_deref());
    numbers.retain(|number| !whole.unviable.contains(whole.key(*number)));
    let fates = attempt(&whole, &copy, &program, &corpus(project, &copy)?, &numbers)?;
    let survivors = fates.survivors.keys().map(|number| format!("{}\n", whole.key(*number)));
    fs::write(&last, survivors.collect::<String>()).map_err(|error| error.to_string())?;
    let text = fs::read_to_string(project.join("docs/JUDGE-MUTATION.md")).unwrap_or_default();
    Ok(report(&whole, &fates, numbers.len(), &explained::keys(&text)))
}

/// The mutations that were asked for.
fn chosen(whole: &Whole, parts: &[&String], survivors: Option<&str>) -> BTreeSet<usize> {
    let survivors: Option<BTreeSet<&str>> = survivors.map(|text| text.lines().collect());
    let wanted = |one: &Mutation| {
        (parts.is_empty() || parts.iter().any(|part| one.key.contains(part.as_str())))
            && survivors.as_ref().is_none_or(|keys| keys.contains(one.key.as_str()))
    };
    whole.all().filter(|(_, one)| wanted(one)).map(|(number, _)| number).collect()
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.file_name().is_some_and(|name| NOT_COPIED.iter().any(|not| name == *not)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The files of the rules as they become, by their paths below the root.
fn rewritten(project: &Path, unviable: BTreeSet<String>) -> Result<(Whole, BTreeMap<String, String>), String> {
    let rules = project.join("src/rules");
    let mut read = Vec::new();
    for path in files(&rules)? {
        let name = path.strip_prefix(&rules).unwrap_or(&path).to_string_lossy().into_owned();
        if NO_RULES.iter().any(|no| name.starts_with(no)) {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
        read.push((syn::parse_file(&text).map_err(|error| format!("{name}: {error}"))?, name));
    }
    let (mut whole, mut others) = (Whole { unviable, ..Whole::default() }, BTreeSet::new());
    read.iter().for_each(|(file, _)| whole.learn(file, &mut others));
    whole.effects.retain(|name| !others.contains(name));
    let mut texts = BTreeMap::new();
    for (file, name) in read {
        let mut text = whole.rewrite(&name, file);
        if name == "mod.rs" {
            text.push_str("\npub(crate) mod mutation;\n");
        }
        texts.insert(format!("src/rules/{name}"), text);
    }
    Ok((whole, texts))
}

/// Copies, rewrites and builds, until what does not compile is left out.
fn build(project: &Path, copy: &Copy) -> Result<(Whole, PathBuf), String> {
    let known = copy.work.join("unviable");
    let mut unviable: BTreeSet<String> =
        fs::read_to_string(&known).unwrap_or_default().lines().map(String::from).collect();
    loop {
        let (whole, texts) = rewritten(project, unviable.clone())?;
        let mut kept = BTreeSet::new();
        for path in files(project)? {
            let name = path.strip_prefix(project).unwrap_or(&path).to_string_lossy().into_owned();
            let mut bytes = match texts.get(&name) {
                Some(text) => text.clone().into_bytes(),
                None => fs::read(&path).map_err(|error| format!("{name}: {error}"))?,
            };
            match name.as_str() {
                "Cargo.toml" => bytes.extend_from_slice(QUICKER),
                "src/lib.rs" => bytes.splice(0..0, SILENT.iter().copied()).for_each(drop),
                _ => {}
            }
            put(&copy.root.join(&name), &bytes)?;
            kept.insert(copy.root.join(name));
        }
        let probe = copy.root.join("src/rules/mutation.rs");
        put(&probe, include_bytes!("probe.rs"))?;
        kept.insert(probe);
        for gone in files(&copy.root)?.into_iter().filter(|path| !kept.contains(path)) {
            fs::remove_file(gone).map_err(|error| error.to_string())?;
        }
        match copy.build(&texts)? {
            Built::Program(program) => return Ok((whole, program)),
            Built::Unviable(numbers) => {
                eprintln!("{} mutations do not compile and are left out", numbers.len());
                unviable.extend(numbers.into_iter().map(|number| whole.key(number).to_owned()));
                let text: String = unviable.iter().map(|key| format!("{key}\n")).collect();
                put(&known, text.as_bytes())?;
            }
        }
    }
}

/// Writes a file unless it is there already, so that only what changed is built again.
fn put(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let folder = path.parent().ok_or("a file without a folder")?;
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, bytes));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

/// Where the corpus is: another one for each state of what it is played with. It is played with the rules as well, but
/// only as far as they say how long a scenario goes on.
fn corpus(project: &Path, copy: &Copy) -> Result<PathBuf, String> {
    let mut hash = DefaultHasher::new();
    let (source, scenarios) = (files(&project.join("src"))?, files(&project.join("scenarios"))?);
    let rules = project.join("src/rules");
    for path in source.into_iter().filter(|path| !path.starts_with(&rules)).chain(scenarios) {
        fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?.hash(&mut hash);
    }
    include_bytes!("probe.rs").hash(&mut hash);
    Ok(copy.work.join(format!("corpus-{:016x}", hash.finish())))
}

fn attempt(
    whole: &Whole,
    copy: &Copy,
    program: &Path,
    corpus: &Path,
    numbers: &BTreeSet<usize>,
) -> Result<Fates, String> {
    let tests = copy.tests(program)?;
    let (fates, tried) = (Mutex::new(Fates::default()), AtomicUsize::new(0));
    let all: Vec<usize> = numbers.iter().copied().collect();
    let work = || {
        while let Some(number) = all.get(tried.fetch_add(1, Ordering::Relaxed)) {
            if copy.tests_kill(program, *number, &tests) {
                let Ok(mut fates) = fates.lock() else { return };
                fates.by_tests.insert(*number);
                if fates.by_tests.len() % 500 == 0 {
                    eprintln!("{} of {} killed by unit tests", fates.by_tests.len(), all.len());
                }
            }
        }
    };
    std::thread::scope(|scope| (0..trial::workers()).for_each(|_| _ = scope.spawn(work)));
    let mut fates = fates.into_inner().map_err(|error| error.to_string())?;
    let left: BTreeSet<usize> = numbers.difference(&fates.by_tests).copied().collect();
    eprintln!("{} are left for the corpus", left.len());
    let keys: String = left.iter().map(|number| format!("{}\n", whole.key(*number))).collect();
    put(&copy.work.join("left-by-tests"), keys.as_bytes())?;
    copy.judge_corpus(program, corpus, &left, &mut fates)?;
    Ok(fates)
}

/// Prints what came of it. Whether every survivor is explained, and every explanation needed.
fn report(whole: &Whole, fates: &Fates, tried: usize, explained: &BTreeSet<String>) -> bool {
    let key = |number: &usize| whole.key(*number);
    let mut open = 0;
    for (number, (judged, reaching)) in &fates.survivors {
        let Some(one) = &whole.mutations[*number] else { continue };
        if explained.contains(&one.key) {
            continue;
        }
        open += 1;
        let seen = match (judged, reaching) {
            (_, 0) => "no recorded play reaches it".to_owned(),
            (judged, reaching) if judged < reaching => format!("{judged} of {reaching} plays in the time there is"),
            (judged, _) => format!("{judged} plays"),
        };
        println!("survives  src/rules/{}:{} ({seen})\n- `{}`", one.file, one.line, one.key);
    }
    let known: BTreeSet<&str> = whole.all().map(|(_, one)| one.key.as_str()).collect();
    let killed: BTreeSet<&str> = fates.by_tests.iter().chain(fates.by_corpus.keys()).map(key).collect();
    let stale = explained::stale(explained, &known, &killed);
    stale.iter().for_each(|key| println!("explained for nothing  {key}"));
    println!(
        "{} mutations, {} of them do not compile, {tried} tried: {} killed by unit tests, {} by recorded plays; {} survive, {open} of them unexplained; {} explanations for nothing",
        whole.all().count(),
        whole.all().filter(|(_, one)| whole.unviable.contains(&one.key)).count(),
        fates.by_tests.len(),
        fates.by_corpus.len(),
        fates.survivors.len(),
        stale.len(),
    );
    open == 0 && stale.is_empty()
}
