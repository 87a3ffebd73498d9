//! The shipped scenarios, and the choice of scenarios by path, folder or id.
//!
//! A scenario's id is its path below `scenarios/` without `.yaml`: `subscriptions/kept`. The choice reads files that
//! the user names; nothing else here touches the disk. Reading what was chosen is [`super::parse::read`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::shipped::{CLIENT_LOADS, SHIPPED};
use super::suggest;

/// What the ids of loads begin with.
const LOADS: &str = "load/";

/// A scenario's text, not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its id: `subscriptions/kept`.
    pub id: String,
    /// The file, as errors name it.
    pub file: String,
    /// The text.
    pub text: String,
}

/// Why nothing could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// Neither a path nor an id.
    #[error("no scenario and no file is called `{word}`{}", .help.as_ref().map_or_else(String::new, |help| format!("; {help}")))]
    Nothing {
        /// What was asked for.
        word: String,
        /// What may have been meant.
        help: Option<String>,
    },
    /// Neither a file nor the id of a load on clients.
    #[error("no file and no load on clients is called `{word}`; {help}")]
    NoClientLoad {
        /// What was asked for.
        word: String,
        /// What may have been meant.
        help: String,
    },
    /// A folder without scenarios.
    #[error("the folder `{0}` holds no scenario (no file that ends in .yaml)")]
    EmptyFolder(String),
    /// A file that cannot be read.
    #[error("failed to read `{file}`: {cause}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        cause: std::io::Error,
    },
    /// Two files with one id.
    #[error("`{first}` and `{second}` both have the id `{id}`; name one of them")]
    SameId {
        /// The id.
        id: String,
        /// A file.
        first: String,
        /// Another file.
        second: String,
    },
}

/// The shipped scenarios in the order of their ids.
pub fn shipped() -> Vec<Source> {
    let mut sources: Vec<Source> = SHIPPED
        .iter()
        .map(|(id, text)| Source {
            id: (*id).to_owned(),
            file: format!("scenarios/{id}.yaml"),
            text: (*text).to_owned(),
        })
        .collect();
    sources.sort_by(|a, b| a.id.cmp(&b.id));
    sources
}

/// The shipped loads on what connects to an emulator, in the order of their ids.
pub fn client_loads() -> Vec<Source> {
    let source = |(id, text): &(&str, &str)| {
        let name = id.strip_prefix(LOADS).unwrap_or(id);
        Source { id: (*id).to_owned(), file: format!("client-loads/{name}.yaml"), text: (*text).to_owned() }
    };
    CLIENT_LOADS.iter().map(source).collect()
}

/// The load on what connects to an emulator that a word names: a file, or the id of a shipped one.
///
/// # Errors
/// If there is no such file and no such id, or the file cannot be read.
pub fn client_load(word: &str) -> Result<Source, SelectError> {
    let path = Path::new(word);
    if path.is_file() {
        let Source { id, file, text } = from_file(path, None)?;
        return Ok(Source { id: if id.contains('/') { id } else { format!("{LOADS}{id}") }, file, text });
    }
    let shipped = client_loads().into_iter().find(|source| source.id == word.trim_end_matches(".yaml"));
    shipped.ok_or_else(|| {
        let ids: Vec<&str> = CLIENT_LOADS.iter().map(|(id, _)| *id).collect();
        let near = suggest::nearest(word, ids.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let help = near.or_else(|| Some(format!("shipped are {}", ids.join(", "))));
        SelectError::NoClientLoad { word: word.to_owned(), help: help.unwrap_or_default() }
    })
}

/// The shipped scenarios that judge conformance: all but loads, which take the server for themselves.
pub fn conformance() -> Vec<Source> {
    shipped().into_iter().filter(|source| !source.id.starts_with(LOADS)).collect()
}

/// The scenarios that the words name, each once, in the order of their ids; without words all shipped ones.
///
/// A word is a path to a file or a folder, or the id of a shipped scenario, in which `*` stands for anything; the name
/// of an area stands for all of it.
///
/// # Errors
/// If a word names nothing, a file cannot be read, or two files have the same id.
pub fn select(words: &[String]) -> Result<Vec<Source>, SelectError> {
    if words.is_empty() {
        return Ok(shipped());
    }
    let mut chosen: BTreeMap<String, Source> = BTreeMap::new();
    for word in words {
        for source in named(word)? {
            match chosen.get(&source.id) {
                Some(other) if other.file != source.file => {
                    let (id, first) = (source.id, other.file.clone());
                    return Err(SelectError::SameId { id, first, second: source.file });
                }
                _ => chosen.insert(source.id.clone(), source),
            };
        }
    }
    Ok(chosen.into_values().collect())
}

fn named(word: &str) -> Result<Vec<Source>, SelectError> {
    let path = Path::new(word);
    if path.is_file() {
        return Ok(vec![from_file(path, None)?]);
    }
    if path.is_dir() {
        let mut files = Vec::new();
        scenario_files(path, &mut files)?;
        if files.is_empty() {
            return Err(SelectError::EmptyFolder(word.to_owned()));
        }
        return files.iter().map(|file| from_file(file, Some(path))).collect();
    }
    let wanted = word.trim_end_matches('/').trim_end_matches(".yaml");
    let area = format!("{wanted}/*");
    let found: Vec<Source> =
        shipped().into_iter().filter(|source| fits(wanted, &source.id) || fits(&area, &source.id)).collect();
    if found.is_empty() {
        return Err(SelectError::Nothing { word: word.to_owned(), help: meant(wanted) });
    }
    Ok(found)
}

/// What may have been meant by a word that names nothing.
fn meant(word: &str) -> Option<String> {
    if CLIENT_LOADS.iter().any(|(id, _)| *id == word) {
        return Some(format!("it is a load on clients: `bridgeproof emulate --load {word}`"));
    }
    let areas = SHIPPED.iter().filter_map(|(id, _)| id.split_once('/').map(|(area, _)| area));
    let known: Vec<&str> = SHIPPED.iter().map(|(id, _)| *id).chain(areas).collect();
    suggest::nearest(word, known.iter().copied())
        .or_else(|| known.iter().copied().find(|id| id.rsplit('/').next() == Some(word)))
        .map(|near| format!("did you mean `{near}`?"))
        .or_else(|| Some("`bridgeproof scenarios` lists them".to_owned()))
}

/// Whether an id fits a pattern in which `*` stands for any text.
pub fn fits(pattern: &str, id: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == id };
    let Some(mut tail) = id.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = tail.find(part) else { return false };
        tail = &tail[at + part.len()..];
    }
    tail.ends_with(last)
}

fn from_file(path: &Path, folder: Option<&Path>) -> Result<Source, SelectError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|cause| SelectError::Unreadable { file: file.clone(), cause })?;
    Ok(Source { id: id_of(path, folder), file, text })
}

/// The id of a file: what follows a folder called `scenarios`, else its path below the folder that was named, else its
/// name; in any case without what its name ends in.
fn id_of(path: &Path, folder: Option<&Path>) -> String {
    let path = path.with_extension("");
    let parts: Vec<String> = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if let Some(at) = parts.iter().rposition(|part| part == "scenarios").filter(|at| at + 1 < parts.len()) {
        return parts[at + 1..].join("/");
    }
    match folder.and_then(|folder| path.strip_prefix(folder).ok()) {
        Some(below) => below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"),
        None => parts.last().cloned().unwrap_or_default(),
    }
}

/// All scenario files below a folder, in the order of their names. Links are not followed.
fn scenario_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), SelectError> {
    let unreadable = |cause| SelectError::Unreadable { file: folder.display().to_string(), cause };
    let mut entries: Vec<std::fs::DirEntry> =
        std::fs::read_dir(folder).and_then(Iterator::collect).map_err(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            scenario_files(&path, found)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(fits("*", "a/b") && fits("a/*", "a/b") && fits("*/b", "a/b") && fits("a*b*c", "a-b-b-c"));
        assert!(fits("a/b", "a/b") && !fits("a/b", "a/bc") && !fits("a/*", "b/a/c") && !fits("a*b", "b-a"));
        assert!(!fits("ab*ba", "aba") && fits("ab*ba", "abba"));
    }

    #[test]
    fn an_id_is_the_path_below_the_folder_of_scenarios() {
        let id = |path: &str, folder: Option<&str>| id_of(Path::new(path), folder.map(Path::new));
        assert_eq!(id("scenarios/limits/six.yaml", None), "limits/six");
        assert_eq!(id("/somewhere/scenarios/limits/six.yaml", Some("/somewhere")), "limits/six");
        assert_eq!(id("mine/deep/six.yaml", Some("mine")), "deep/six");
        assert_eq!(id("mine/six.yaml", None), "six");
    }

    #[test]
    fn shipped_scenarios_are_chosen_by_id_area_and_pattern() {
        let ids = |word: &str| -> Vec<String> {
            select(&[word.to_owned()]).unwrap().into_iter().map(|source| source.id).collect()
        };
        assert_eq!(ids("subscriptions/kept"), ["subscriptions/kept"]);
        assert!(ids("subscriptions/kept*").len() > 1);
        assert_eq!(ids("limits"), ids("limits/*"));
        assert_eq!(ids("*").len(), shipped().len());
        assert_eq!(select(&[]).unwrap(), shipped());
    }

    #[test]
    fn a_word_that_names_nothing_gets_a_suggestion() {
        let help = |word: &str| match select(&[word.to_owned()]) {
            Err(SelectError::Nothing { help, .. }) => help.unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(help("subscriptions/kepd"), "did you mean `subscriptions/kept`?");
        assert_eq!(help("limit"), "did you mean `limits`?");
        assert_eq!(help("sixth-connection"), "did you mean `limits/sixth-connection`?");
        assert_eq!(help("zzz/*"), "`bridgeproof scenarios` lists them");
    }

    #[test]
    fn files_and_folders_are_read_and_what_is_missing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        assert!(matches!(select(&[path("")]), Err(SelectError::EmptyFolder(_))));
        std::fs::create_dir(folder.path().join("area")).unwrap();
        std::fs::write(folder.path().join("area/one.yaml"), "title: one").unwrap();
        std::fs::write(folder.path().join("area/notes.txt"), "nothing").unwrap();
        let all = select(&[path(""), path("")]).unwrap();
        assert_eq!(all.iter().map(|source| source.id.as_str()).collect::<Vec<_>>(), ["area/one"]);
        assert_eq!(select(&[path("area/one.yaml")]).unwrap()[0].text, "title: one");
        let missing = select(&[path("two.yaml")]).unwrap_err().to_string();
        assert!(missing.contains("no scenario and no file"), "{missing}");
        std::fs::create_dir(folder.path().join("other")).unwrap();
        std::fs::write(folder.path().join("other/one.yaml"), "title: other").unwrap();
        let twice = select(&[path("area/one.yaml"), path("other/one.yaml")]).unwrap_err();
        assert!(matches!(twice, SelectError::SameId { .. }));
    }
}
