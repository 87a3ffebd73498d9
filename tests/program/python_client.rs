//! A client that others wrote: a dozen lines of Python with a WebSocket library from the package index.

use std::ffi::OsString;
use std::process::Command;

use super::child::{Emulator, Folder, PASSWORD, Running};
use super::reports::{read, root, with_verdict};

/// The variable with the Python that has the packages of `tests/peers/requirements.txt`.
const PYTHON: &str = "BRIDGEPROOF_TEST_PYTHON";

/// The Python that has these packages.
pub(crate) fn python() -> OsString {
    std::env::var_os(PYTHON).unwrap_or_else(|| {
        panic!("{PYTHON} is not set: run the tests by `bash .ci/test`, which installs what this client needs")
    })
}

#[test]
fn a_python_client_sees_a_call_that_it_starts_and_is_judged_good() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &["--judge", "--report-dir", "out"]);
    let mut command = Command::new(python());
    command
        .arg(root().join("tests/peers/ws_client.py"))
        .arg(emulator.address())
        .arg("admin")
        .env("CMS_PASSWORD", PASSWORD.1);
    let client = Running::start(command).finish();
    assert_eq!(client.code, 0, "{client:?}");
    for part in ["messageAck", "\"pending\"", "\"active\"", "callListUpdate", "a call from Python"] {
        assert!(client.stdout.contains(part), "{part} in {client:?}");
    }
    emulator.running.signal("TERM");
    let finished = emulator.running.finish();
    assert_eq!(with_verdict(&read(&folder.path("out")), "fail"), Vec::<String>::new(), "{finished:?}");
}
