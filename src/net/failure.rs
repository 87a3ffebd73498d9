//! Failures of the network in words.
//!
//! Libraries hide the cause three levels deep; here the chain is written out, certificate errors get plain words, and
//! each failure is sorted into one of the kinds of [`NetworkErrorKind`].

use std::error::Error;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use crate::trace::{NetworkError, NetworkErrorKind};

/// That a host name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name `{name}` could not be resolved: {cause}")]
pub(crate) struct ResolveFailed {
    pub(crate) name: String,
    pub(crate) cause: String,
}

/// The chain of causes on one line, each told once.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let part = cause.downcast_ref::<rustls::Error>().map_or_else(|| cause.to_string(), tls_reason);
        // Wrappers that repeat what they wrap add nothing.
        if text.is_empty() {
            text = part;
        } else if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
    }
    text
}

/// What is wrong with TLS, in words.
pub fn tls_reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(reason) => certificate_reason(reason),
        rustls::Error::InvalidMessage(_) => "the peer does not speak TLS on this port".to_owned(),
        rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(_) => {
            format!("{error} (TLS 1.2 or newer with an ECDHE cipher suite is needed)")
        }
        other => other.to_string(),
    }
}

/// What is wrong with a certificate, in words.
fn certificate_reason(reason: &CertificateError) -> String {
    let words = match reason {
        CertificateError::UnknownIssuer => "its issuer is not trusted",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
        CertificateError::Revoked => "it was revoked",
        CertificateError::BadSignature => "its signature is wrong",
        CertificateError::BadEncoding => "it cannot be read",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "it is for another name",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => "it is not for servers",
        _ => "it is not accepted",
    };
    format!("certificate: {words} ({})", rustls::Error::InvalidCertificate(reason.clone()))
}

/// The failure of something that was tried at `address`.
pub(crate) fn network_error(
    kind: NetworkErrorKind,
    address: impl Into<String>,
    cause: impl Into<String>,
) -> NetworkError {
    NetworkError { kind, address: address.into(), cause: cause.into() }
}

/// The failure to answer within `limit`.
pub(crate) fn timed_out(address: impl Into<String>, what: &str, limit: Duration) -> NetworkError {
    network_error(NetworkErrorKind::Timeout, address, format!("{what} within {} ms", limit.as_millis()))
}

/// Sorts an error of the operating system or of TLS; `otherwise` is its kind where nothing tells.
pub(crate) fn of_io(address: &str, error: &io::Error, otherwise: NetworkErrorKind) -> NetworkError {
    network_error(kind_of(error).unwrap_or(otherwise), address, chain(error))
}

/// The kind that the chain of causes tells.
pub(crate) fn kind_of(error: &(dyn Error + 'static)) -> Option<NetworkErrorKind> {
    causes(error).find_map(|cause| {
        if cause.is::<rustls::Error>() {
            Some(NetworkErrorKind::Tls)
        } else if cause.is::<ResolveFailed>() {
            Some(NetworkErrorKind::Resolve)
        } else if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            kind_of_hyper(error)
        } else {
            cause.downcast_ref::<io::Error>().and_then(|error| kind_of_io(error.kind()))
        }
    })
}

fn kind_of_hyper(error: &hyper::Error) -> Option<NetworkErrorKind> {
    if error.is_incomplete_message() || error.is_closed() {
        Some(NetworkErrorKind::Closed)
    } else if error.is_parse() {
        Some(NetworkErrorKind::Malformed)
    } else {
        None
    }
}

const fn kind_of_io(kind: io::ErrorKind) -> Option<NetworkErrorKind> {
    match kind {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::NetworkDown => Some(NetworkErrorKind::Connect),
        io::ErrorKind::TimedOut => Some(NetworkErrorKind::Timeout),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(NetworkErrorKind::Closed),
        _ => None,
    }
}

/// The error and everything that caused it; also what an [`io::Error`] wraps, which `source` would skip.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let next = |error: &&'e (dyn Error + 'static)| -> Option<&'e (dyn Error + 'static)> {
        let error: &'e (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    };
    std::iter::successors(Some(error), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_inside_an_io_error_is_found_and_told_once() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = io::Error::new(io::ErrorKind::InvalidData, inner);
        assert_eq!(kind_of(&error), Some(NetworkErrorKind::Tls));
        let text = chain(&error);
        assert!(text.contains("its issuer is not trusted"), "{text}");
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(of_io("a:1", &reset, NetworkErrorKind::Connect).kind, NetworkErrorKind::Closed);
        assert_eq!(chain(&reset), "connection reset");
    }
}
