//! Passwords typed at a terminal, without echo.

use std::io::{self, IsTerminal};

/// Asks for the password of `user`; nothing if nobody sits at a terminal.
pub fn password(user: &str) -> Option<io::Result<String>> {
    (io::stdin().is_terminal() && io::stderr().is_terminal())
        .then(|| rpassword::prompt_password(format!("password of {user}: ")))
}
