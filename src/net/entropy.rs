//! Randomness of the operating system, for what must differ from run to run: a seed that the user did not give, and
//! the passwords of an embedded emulator.
//!
//! Everything else draws from generators that are seeded from the run's seed.

use rand::TryRng as _;
#[expect(
    clippy::disallowed_types,
    reason = "this is the place where the operating system is asked for randomness"
)]
use rand::rngs::SysRng;

/// A fresh seed.
pub fn seed() -> u64 {
    u64::from_le_bytes(bytes())
}

/// A fresh password of 32 hexadecimal digits.
pub fn password() -> String {
    bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SysRng
        .try_fill_bytes(&mut bytes)
        .expect("an operating system without randomness cannot run TLS or a secure server either");
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_passwords_differ() {
        assert_ne!(super::password(), super::password());
        assert_eq!(super::password().len(), 32);
    }
}
