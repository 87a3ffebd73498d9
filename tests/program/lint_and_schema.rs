//! `lint`, `schema`, `scenarios` and `rules`: what authors of scenarios use.

use snapbox::data::DataFormat;
use snapbox::{Data, assert_data_eq};

use super::child::Folder;
use super::reports::root;

const GOOD: &str = "\
title: A connection opens.
exercises: [AUTH-05]
clients: [alice]
steps:
  - connect: {client: alice}
";

const BAD: &str = "\
title: A connection opens.
exercises: [AUTH-05, MSG-3]
clients: [alice]
steps:
  - connect: {client: alcie}
  - subscribe: {client: alice, set: [{index: 1, type: callInfo, call: '${coll}'}]}
  - pauze: {for: 1s}
";

fn golden(name: &str) -> Data {
    Data::read_from(&root().join("tests/program/golden").join(name), Some(DataFormat::Text))
}

#[test]
fn lint_passes_good_files_and_counts_them() {
    let folder = Folder::new();
    folder.write("good.yaml", GOOD);
    let finished = folder.run(&["lint", "good.yaml"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (0, "1 scenario file, 0 with errors\n"), "{finished:?}");
    let shipped = folder.run(&["lint", &root().join("scenarios").display().to_string()]);
    assert_eq!(shipped.code, 0, "{shipped:?}");
}

#[test]
fn lint_shows_place_line_and_what_may_have_been_meant() {
    let folder = Folder::new();
    folder.write("bad.yaml", BAD);
    let finished = folder.run(&["lint", "bad.yaml"]);
    assert_eq!(finished.code, 2);
    assert_data_eq!(finished.stderr, golden("lint-unknown-step.txt"));
    // The unknown step hides nothing but itself: once it is gone, the rest is shown.
    folder.write("bad.yaml", &BAD.replace("pauze", "pause"));
    let finished = folder.run(&["lint", "bad.yaml"]);
    assert_eq!(finished.code, 2);
    assert_data_eq!(finished.stderr, golden("lint-names.txt"));
}

#[test]
fn lint_survives_what_is_no_scenario() {
    let folder = Folder::new();
    let deep = "[".repeat(100_000);
    let anchors = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n";
    for (name, text) in
        [("empty", ""), ("list", "- 1\n"), ("control", "title: \u{0}\n"), ("deep", &deep), ("anchors", anchors)]
    {
        let file = format!("{name}.yaml");
        folder.write(&file, text);
        let finished = folder.run(&["lint", &file]);
        assert_eq!(finished.code, 2, "{name}: {finished:?}");
        assert!(finished.stderr.contains(&file), "{name}: {}", finished.stderr);
    }
    let missing = folder.run(&["lint", "missing.yaml"]);
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.contains("`missing.yaml`"), "{missing:?}");
}

#[test]
fn the_printed_schema_is_the_committed_one() {
    let finished = Folder::new().run(&["schema"]);
    assert_eq!(finished.code, 0);
    let committed = root().join("docs/scenario.schema.json");
    assert_data_eq!(finished.stdout, Data::read_from(&committed, Some(DataFormat::Text)).raw());
}

#[test]
fn scenarios_are_listed_with_what_they_exercise_and_need() {
    let folder = Folder::new();
    let finished = folder.run(&["scenarios", "limits/sixth-connection"]);
    assert_eq!(finished.code, 0);
    for part in ["limits/sixth-connection\n", "exercises LIM-02, LIM-03, LIM-10\n", "needs limits\n"] {
        assert!(finished.stdout.contains(part), "{part} in {}", finished.stdout);
    }
    let all = folder.run(&["scenarios"]);
    let exercises = all.stdout.lines().filter(|line| line.starts_with("    exercises ")).count();
    assert!(exercises > 100, "{exercises}");
    assert_eq!(folder.run(&["scenarios", "limits/sixt-connection"]).code, 2);
}

#[test]
fn a_requirement_is_explained_with_its_source_and_scenarios() {
    let folder = Folder::new();
    let finished = folder.run(&["rules", "MSG-03"]);
    assert_eq!(finished.code, 0);
    for part in ["MSG-03", "must", "server", "messages/requests-acknowledged"] {
        assert!(finished.stdout.contains(part), "{part} in {}", finished.stdout);
    }
    let area = folder.run(&["rules", "lim"]);
    assert!(area.stdout.lines().count() > 5 && area.stdout.contains("LIM-01"), "{area:?}");
    let unknown = folder.run(&["rules", "MGS-03"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("MGS-03"), "{unknown:?}");
}
