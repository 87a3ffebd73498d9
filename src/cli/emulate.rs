//! `bridgeproof emulate`: what was typed.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What was typed after `emulate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen; 127.0.0.1:8443 without.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// TLS with a certificate made for this run.
    #[arg(long, conflicts_with_all = ["cert", "key"])]
    pub tls: bool,
    /// TLS with this certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Where to write the made certificate.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub cert_out: Option<PathBuf>,
    /// The account's name.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The environment variable with its password; generated and shown once without.
    #[arg(long, value_name = "VAR")]
    pub password_env: Option<String>,
    /// Freedoms: a name, or key=value.
    #[arg(long, value_name = "NAME|KEY=VALUE", value_delimiter = ',')]
    pub dialect: Vec<String>,
    /// Faults on purpose.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub mutant: Vec<String>,
    /// What decides every choice.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Judge what connects.
    #[arg(long)]
    pub judge: bool,
    /// Where to write the report of what connected.
    #[arg(long, value_name = "DIR", requires = "judge")]
    pub report_dir: Option<PathBuf>,
}
