//! The servers of a run: what was typed, and what the profile says of them.
//!
//! Several servers share account, trust and all else that is said of a target: they are those that one load is spread over.

use serde::Deserialize;

use super::{Profile, password_of, text};
use crate::cli::run;
use crate::exit::Failure;
use crate::net::target::{Account, Accounts, Target, Tls};

/// `url` of a profile: one, or a list of several.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged, expecting = "a URL, or a list of URLs")]
pub(super) enum Urls {
    #[default]
    None,
    One(String),
    Several(Vec<String>),
}

impl Urls {
    fn all(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(url) => vec![url],
            Self::Several(urls) => urls,
        }
    }
}

/// Whether any server is named.
pub(super) fn are_named(args: &run::Args, profile: &Profile) -> bool {
    !args.target.is_empty() || !matches!(&profile.url, Urls::None)
}

/// The servers that were named, with what it takes to use them; none for the embedded emulator.
///
/// # Errors
/// If something is missing or wrong, or one server is named twice.
pub(super) fn resolve(args: &run::Args, profile: Profile) -> Result<Vec<Target>, Failure> {
    let urls = if args.target.is_empty() { profile.url.all() } else { args.target.clone() };
    if urls.is_empty() {
        return match &args.profile {
            Some(path) => Err(Failure::usage(format!("the profile `{}` has no `url`", path.display()))),
            None => Ok(Vec::new()),
        };
    }
    let Some(user) = args.user.clone().or(profile.user) else {
        return Err(Failure::usage("the target needs an account: give --user NAME and --password-env VAR"));
    };
    let typed = args.password_env.is_some() || args.password_file.is_some();
    let (env, file) = (args.password_env.clone(), args.password_file.clone());
    let (env, file) = if typed { (env, file) } else { (profile.password_env, profile.password_file) };
    let secret = password_of(&user, env.as_deref(), file.as_deref(), "password")?;
    let privileged = Account::new(user, secret);
    let (env, file) = (args.unprivileged_password_env.clone(), args.unprivileged_password_file.clone());
    let typed = env.is_some() || file.is_some();
    let own = (profile.unprivileged_password_env, profile.unprivileged_password_file);
    let (env, file) = if typed { (env, file) } else { own };
    let unprivileged = match args.unprivileged_user.clone().or(profile.unprivileged_user) {
        Some(name) => {
            let secret = password_of(&name, env.as_deref(), file.as_deref(), "unprivileged-password")?;
            Some(Account::new(name, secret))
        }
        None => None,
    };
    let tls = match args.ca.as_ref().or(profile.ca.as_ref()) {
        _ if args.insecure => Tls::Insecure,
        Some(path) => Tls::CaFile(text(path)?.into_bytes()),
        None if profile.insecure => Tls::Insecure,
        None => Tls::System,
    };
    let accounts = Accounts { privileged, unprivileged };
    let mut targets: Vec<Target> = Vec::new();
    for url in &urls {
        let target = Target::new(url, accounts.clone(), tls.clone()).map_err(Failure::usage)?;
        if targets.iter().any(|known| known.origin == target.origin) {
            return Err(Failure::usage(format!("{} is named twice; a load is spread over servers", target.origin)));
        }
        targets.push(target);
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::RunConfig;

    fn resolved(more: &str, typed: &[&str]) -> Result<RunConfig, Failure> {
        let root = tempfile::tempdir().unwrap();
        let (file, secret) = (root.path().join("lab.toml"), root.path().join("secret"));
        fs::write(&file, format!("user = \"api\"\n{more}")).unwrap();
        fs::write(&secret, "x").unwrap();
        let target = typed.iter().map(|url| (*url).to_owned()).collect();
        let args = run::Args { profile: Some(file), password_file: Some(secret), target, ..run::Args::default() };
        RunConfig::resolve(args, &jiff::Zoned::default())
    }

    fn origins(config: &RunConfig) -> Vec<String> {
        config.targets.iter().map(|target| target.origin.to_string()).collect()
    }

    #[test]
    fn several_servers_come_from_a_profile_or_are_typed_and_none_is_named_twice() {
        let several = "url = [\"https://a:8443\", \"https://b:8443\"]\n";
        assert_eq!(origins(&resolved(several, &[]).unwrap()), ["https://a:8443", "https://b:8443"]);
        assert_eq!(origins(&resolved("url = \"https://a:8443\"\n", &[]).unwrap()), ["https://a:8443"]);
        let typed = resolved(several, &["http://c:80", "http://d:80"]).unwrap();
        assert_eq!(typed.targets.len(), 2);
        assert!(typed.options.starts_with("--target http://c:80 --target http://d:80 --profile"), "{}", typed.options);
        let twice = resolved(several, &["https://a:8443", "https://a:8443/"]).unwrap_err();
        assert!(twice.message.contains("is named twice"), "{twice}");
        assert!(resolved("", &[]).unwrap_err().message.contains("has no `url`"));
        let wrong = resolved("url = 5\n", &[]).unwrap_err();
        assert!(wrong.message.contains("a URL, or a list of URLs"), "{wrong}");
    }
}
