//! `bridgeproof dialects`: the named dialects of the emulated server, and its settings.

use std::fmt::Write as _;

use super::output::result;
use crate::emulator::dialects::{DIALECTS, Dialect};
use crate::emulator::settings::{KEYS, Key};
use crate::emulator::{Settings, freedoms};
use crate::exit::{ExitCode, Failure};
use crate::scenario::suggest;

/// What was typed after `dialects`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  bridgeproof dialects                   all dialects and all settings\n  bridgeproof dialects record-by-record  one dialect: what is different\n  bridgeproof dialects cdr-batch         one setting: what it decides, its values, which requirements leave it open"
)]
pub struct Args {
    /// A dialect or a setting; all without.
    pub name: Option<String>,
}

pub(super) fn execute(args: &Args) -> Result<ExitCode, Failure> {
    let text = match args.name.as_deref() {
        None => listed(),
        Some(name) => explained(name).ok_or_else(|| unknown(name))?,
    };
    result(&text)?;
    Ok(ExitCode::Pass)
}

fn unknown(name: &str) -> Failure {
    let known = DIALECTS.iter().map(|dialect| dialect.name).chain(KEYS.iter().map(|key| key.name));
    let help = suggest::help(name, known.collect::<Vec<_>>());
    let help = help.unwrap_or_else(|| "`bridgeproof dialects` lists them".to_owned());
    Failure::usage(format!("`{name}` is no dialect and no setting; {help}"))
}

fn listed() -> String {
    let mut out = "dialects: conformant servers, each a list of settings (--dialect NAME)\n\n".to_owned();
    for dialect in DIALECTS {
        tell_dialect(&mut out, dialect);
    }
    out.push_str("\nsettings: what the guides leave open, every limit and every delay (--dialect KEY=VALUE)\n\n");
    for key in KEYS {
        tell_key(&mut out, key);
    }
    out
}

fn explained(name: &str) -> Option<String> {
    let mut out = String::new();
    if let Some(dialect) = DIALECTS.iter().find(|dialect| dialect.name == name) {
        tell_dialect(&mut out, dialect);
        for (key, _) in dialect.settings {
            KEYS.iter().filter(|known| known.name == *key).for_each(|known| tell_key(&mut out, known));
        }
        return Some(out);
    }
    tell_key(&mut out, KEYS.iter().find(|key| key.name == name)?);
    if let Some(freedom) = freedoms::of(name) {
        let _ = writeln!(out, "    left open beside {}", freedom.about.join(", "));
    }
    Some(out)
}

fn tell_dialect(out: &mut String, dialect: &Dialect) {
    let settings: Vec<String> = dialect.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let _ = writeln!(out, "{}\n    {}", dialect.name, dialect.doc);
    if !settings.is_empty() {
        let _ = writeln!(out, "    {}", settings.join(","));
    }
}

fn tell_key(out: &mut String, key: &Key) {
    let usual = Settings::default().get(key.name).unwrap_or_default();
    let usual = if usual.is_empty() { "empty" } else { &usual };
    let _ = writeln!(out, "{}\n    {}\n    {}; {usual} without", key.name, key.doc, key.values);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_and_settings_are_listed_and_explained() {
        let all = listed();
        assert!(
            DIALECTS.iter().all(|dialect| all.contains(dialect.name)) && KEYS.iter().all(|key| all.contains(key.doc))
        );
        let one = explained("record-by-record").unwrap();
        assert!(one.contains("cdr-batch=1,") && one.contains("; 50 without"), "{one}");
        assert!(explained("cdr-batch").unwrap().contains("left open beside CDR-23"));
    }

    #[test]
    fn a_slip_gets_a_suggestion() {
        assert!(unknown("record-by-recrd").message.contains("did you mean `record-by-record`?"));
        assert!(unknown("zebra").message.contains("zebra"));
    }
}
