//! TLS: what a client trusts, and the certificates that the emulator and CDR receivers show.
//!
//! The provider is ring. A client trusts what the operating system trusts, a further PEM file, or everything; in that
//! last case [`Doubts`] tells what would have been wrong, so that a report can say it. Signatures of the handshake are
//! checked in every case. A server has certificates of its own making, signed by a root that can be given to clients, or
//! those that the user brings.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};

use super::failure::tls_reason;
use super::target::Tls;

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with trusted certificates has none.
    #[error("the file with trusted certificates has no certificate in PEM form ({reason})")]
    NoCertificate {
        /// What was wrong.
        reason: String,
    },
    /// The file with the key has none.
    #[error("the file with the key has no private key in PEM form ({reason})")]
    NoKey {
        /// What was wrong.
        reason: String,
    },
    /// The operating system trusts nobody.
    #[error("the operating system has no trusted certificates; name a file with `--ca`, or use `--insecure`")]
    NothingTrusted,
    /// Certificates could not be made.
    #[error("no certificate could be made for these names: {0}")]
    Make(#[from] rcgen::Error),
    /// Certificate and key are not accepted.
    #[error("certificate and key are not accepted: {0}")]
    Rejected(#[from] rustls::Error),
}

/// Why a handshake failed, on the side that was connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandshakeFailure {
    /// In words.
    pub(crate) what: String,
    /// Whether the other side ended it, as one does that does not trust the certificate.
    pub(crate) by_peer: bool,
}

impl HandshakeFailure {
    /// The other side closed the connection without a word.
    pub(crate) fn closed() -> Self {
        Self { what: "it was ended without a reason".to_owned(), by_peer: true }
    }

    /// It did not end in time.
    pub(crate) fn too_slow() -> Self {
        Self { what: "it took too long".to_owned(), by_peer: false }
    }
}

impl From<&io::Error> for HandshakeFailure {
    fn from(error: &io::Error) -> Self {
        let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (of_tls, error.kind()) {
            (Some(rustls::Error::AlertReceived(alert)), _) => {
                Self { what: format!("it was ended with the alert {alert:?}"), by_peer: true }
            }
            (None, io::ErrorKind::UnexpectedEof) => Self::closed(),
            (None, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted) => {
                Self { what: "it was reset".to_owned(), by_peer: true }
            }
            (Some(error), _) => Self { what: tls_reason(error), by_peer: false },
            (None, _) => Self { what: error.to_string(), by_peer: false },
        }
    }
}

/// What was wrong with a certificate that was accepted all the same. Copies share what they know.
#[derive(Debug, Clone, Default)]
pub struct Doubts(Arc<Mutex<Option<String>>>);

impl Doubts {
    /// The first thing that was wrong, if anything was.
    pub fn first(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, reason: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }
}

/// Makes ring the provider of the whole process, once, for libraries that ask for one.
pub fn install_provider() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // It fails only where somebody was faster, with a provider that does as well.
        let _ = ring::default_provider().install_default();
    });
}

/// The TLS settings of a client.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// For rustls.
    pub config: Arc<ClientConfig>,
    /// What was wrong, where everything is trusted.
    pub doubts: Doubts,
}

impl ClientTls {
    /// The settings for what is to be trusted.
    ///
    /// # Errors
    /// A file without certificates, or a system that trusts nobody.
    pub fn new(tls: &Tls) -> Result<Self, TlsError> {
        install_provider();
        let provider = Arc::new(ring::default_provider());
        let doubts = Doubts::default();
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let roots = system_roots();
        let config = match tls {
            Tls::Insecure => {
                let inner = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
                let verifier = Lenient { inner: inner.ok(), provider, doubts: doubts.clone() };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
            }
            Tls::System if roots.is_empty() => return Err(TlsError::NothingTrusted),
            Tls::System => builder.with_root_certificates(roots).with_no_client_auth(),
            Tls::CaFile(pem) => {
                let mut roots = RootCertStore::clone(&roots);
                for certificate in certificates(pem)? {
                    roots.add(certificate)?;
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        };
        Ok(Self { config: Arc::new(config), doubts })
    }
}

/// What the operating system trusts; certificates that cannot be read are left out. It is read once: a hundred targets trust
/// the same.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    };
    Arc::clone(ROOTS.get_or_init(read))
}

/// Accepts every certificate, and notes what was wrong with it.
#[derive(Debug)]
struct Lenient {
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    doubts: Doubts,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.inner {
            Some(inner) => {
                let checked = inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
                if let Err(error) = checked {
                    self.doubts.note(tls_reason(&error));
                }
            }
            None => self.doubts.note("certificate: the operating system trusts no issuer at all".to_owned()),
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The TLS settings of a server, with what a client has to trust.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// For rustls.
    pub config: Arc<ServerConfig>,
    /// The certificate of the root, in PEM form, if the certificates were made here.
    pub ca_pem: Option<String>,
}

impl ServerTls {
    /// Certificates made here, for these names and addresses besides `localhost`, `127.0.0.1` and `::1`.
    ///
    /// # Errors
    /// A name that no certificate can have.
    pub fn self_made(names: &[String]) -> Result<Self, TlsError> {
        install_provider();
        let root_key = KeyPair::generate()?;
        let mut root = CertificateParams::new(Vec::new())?;
        root.distinguished_name.push(DnType::CommonName, "bridgeproof root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root_certificate = root.self_signed(&root_key)?;
        let issuer = Issuer::new(root, root_key);

        let mut all: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        for name in names {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(all)?;
        leaf.distinguished_name.push(DnType::CommonName, "bridgeproof");
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = leaf.signed_by(&key, &issuer)?;
        let chain = vec![certificate.der().clone(), root_certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Self { config: server_config(chain, key)?, ca_pem: Some(root_certificate.pem()) })
    }

    /// The user's own certificate chain (its own certificate first) and key, in PEM form.
    ///
    /// # Errors
    /// Texts without certificate or key, or a pair that does not fit together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        install_provider();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::NoKey { reason: error.to_string() })?;
        Ok(Self { config: server_config(certificates(chain)?, key)?, ca_pem: None })
    }
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificates of a PEM text, at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let no_certificate = |reason: String| TlsError::NoCertificate { reason };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| no_certificate(error.to_string()))?;
    if found.is_empty() { Err(no_certificate("nothing of that kind in it".to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pem_text_without_certificates_is_refused_in_words() {
        let error = ClientTls::new(&Tls::CaFile(b"hello".to_vec())).unwrap_err().to_string();
        assert!(error.contains("no certificate in PEM form"), "{error}");
        assert!(ServerTls::from_pem(b"", b"").unwrap_err().to_string().contains("private key"));
    }

    #[test]
    fn a_user_certificate_must_fit_its_key() {
        let make = || {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec!["h".to_owned()]).unwrap().self_signed(&key).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let ((first, key), (_, other)) = (make(), make());
        assert!(ServerTls::from_pem(first.as_bytes(), key.as_bytes()).is_ok());
        assert!(matches!(ServerTls::from_pem(first.as_bytes(), other.as_bytes()), Err(TlsError::Rejected(_))));
    }
}
