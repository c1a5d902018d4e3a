//! A server looks at its own callback address from outside, over TLS, as the provider does.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::cluster::Cluster;
use crate::{Server, binary};

const PATH: &str = "/payments/ikhokha";

/// Whoever makes certificates, and who is trusted.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate for this machine that ends in so many days from now.
    fn server(&self, name: &str, days: i64) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        let ends = chrono::Utc::now() + chrono::Duration::days(days);
        params.not_after = std::time::SystemTime::from(ends).into();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What a proxy does in front of the server.
fn terminate(listener: TcpListener, tls: TlsAcceptor, server: String) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, server) = (tls.clone(), server.clone());
            tokio::spawn(async move {
                if let Ok(mut outside) = tls.accept(stream).await {
                    let mut inside = TcpStream::connect(server).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
}

/// The server, and what it logs.
struct School {
    child: Child,
    address: String,
    log: Receiver<String>,
}

impl School {
    fn open(settings: &[(&str, String)], trusted: &Path) -> Self {
        let mut child = Command::new(binary("production"))
            .args(["--port", "0"])
            .env_clear()
            .env("SSL_CERT_FILE", trusted)
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (line, log) = channel();
        let said = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for text in said.lines().map_while(Result::ok) {
                let _ = line.send(text);
            }
        });
        let mut text = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut text).unwrap();
        assert!(!text.is_empty(), "{:?}", log.iter().collect::<Vec<_>>());
        let said: Value = serde_json::from_str(&text).unwrap();
        let app = said["app"].as_str().unwrap().to_owned();
        let address = app.strip_prefix("http://").unwrap().to_owned();
        Self {
            child,
            address,
            log,
        }
    }

    /// What it says first of how it looks from outside.
    fn finds(&self) -> String {
        let wait = Duration::from_secs(30);
        loop {
            let line = self.log.recv_timeout(wait).unwrap();
            if line.contains(" production: ") {
                return line;
            }
        }
    }
}

impl Drop for School {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_sees_the_end_of_its_own_certificate() {
    let cluster = Cluster::start();
    let provider = Server::start("axum_server");
    let authority = Authority::new();
    let file = format!("coursegate-trusted-{}.pem", std::process::id());
    let trusted = std::env::temp_dir().join(file);
    std::fs::write(&trusted, authority.0.pem()).unwrap();
    let look = async |name: &str, days: i64| {
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = front.local_addr().unwrap().port();
        let here = format!("https://localhost:{port}");
        let settings = [
            ("DATABASE_URL", cluster.url()),
            ("COURSEGATE_MODE", "staging".to_owned()),
            (
                "IKHOKHA_API_URL",
                format!("{}/public-api/v1/api", provider.simulator),
            ),
            ("IKHOKHA_APP_ID", provider.app_id.clone()),
            ("IKHOKHA_APP_SECRET", provider.secret_text.clone()),
            ("COURSEGATE_CALLBACK_URL", format!("{here}{PATH}")),
            (
                "COURSEGATE_SUCCESS_URL",
                format!("{here}/paid/{{reference}}"),
            ),
            ("COURSEGATE_FAILURE_URL", format!("{here}/failed")),
            ("COURSEGATE_SITE_URL", here.clone()),
        ];
        let school = School::open(&settings, &trusted);
        let tls = authority.server(name, days);
        terminate(front, tls, school.address.clone());
        school.finds()
    };
    let ending = look("localhost", 20).await;
    assert!(ending.contains("certificate_ending"), "{ending}");
    let over = look("localhost", -1).await;
    assert!(over.contains("certificate_over"), "{over}");
    let other = look("other.school.co.za", 90).await;
    assert!(
        other.contains("callback_unreachable") && other.contains("not trusted"),
        "{other}"
    );
    // The signed probe arrives.
    let well = look("localhost", 90).await;
    assert!(well.contains("callbacks arrive from outside"), "{well}");
    std::fs::remove_file(trusted).unwrap();
}
