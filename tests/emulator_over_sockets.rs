//! The emulated Meeting Server over real sockets, spoken to by a WebSocket client that others wrote.
//!
//! What is said about the events interface is tested with the emulator itself; here it is shown that the shell carries
//! it: tokens, the upgrade, acknowledgements and states, and that `probe` takes the emulator for what it is.

use std::net::SocketAddr;
use std::time::Duration;

use bridgeproof::emulator::{MeetingServer, Settings};
use bridgeproof::net::clock::Clock;
use bridgeproof::net::emulator_shell::{EmulatorShell, ShellOptions, start};
use bridgeproof::net::probe::probe;
use bridgeproof::net::socket_driver::Link;
use bridgeproof::net::target::{Accounts, Target, Tls};
use bridgeproof::net::tls::ServerTls;
use bridgeproof::protocol::api::names::{AUTH_TOKENS, TOKEN_HEADER};
use bridgeproof::protocol::http::{Method, Request};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const LIMIT: Duration = Duration::from_secs(10);

async fn emulator(secure: bool) -> (EmulatorShell, Link) {
    let tls = secure.then(|| ServerTls::self_made(&[]).unwrap());
    let trusted = match tls.as_ref().and_then(|tls| tls.ca_pem.clone()) {
        Some(pem) => Tls::CaFile(pem.into_bytes()),
        None => Tls::Insecure,
    };
    let accounts = Accounts::generated();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = ShellOptions { listen, tls, accounts: accounts.clone(), observer: None };
    let clock = Clock::start();
    let server = MeetingServer::new(Settings::default(), Vec::new(), 1);
    let shell = start(server, options, clock).await.unwrap();
    let target = Target::new(&shell.url(), accounts, trusted).unwrap();
    (shell, Link::new(target, clock).unwrap())
}

async fn token(link: &Link) -> String {
    let response = link.http().exchange(&Request::new(Method::Post, AUTH_TOKENS), LIMIT).await.unwrap();
    assert_eq!(response.status, 200);
    response.headers.get(TOKEN_HEADER).unwrap().to_owned()
}

/// The next text message, as JSON; what belongs to the WebSocket itself is passed over.
async fn next(client: &mut WebSocketStream<TcpStream>) -> serde_json::Value {
    loop {
        let message = tokio::time::timeout(LIMIT, client.next()).await.expect("a message is due").unwrap().unwrap();
        if let Message::Text(text) = message {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

#[tokio::test]
async fn an_independent_client_subscribes_and_gets_ack_and_state() {
    let (shell, link) = emulator(false).await;
    let token = token(&link).await;
    let tcp = TcpStream::connect(shell.address()).await.unwrap();
    let url = format!("ws://{}/events/v1?authToken={token}", shell.address());
    let (mut client, _) = tokio_tungstenite::client_async(url, tcp).await.unwrap();
    let subscribe = r#"{"type":"message","message":{"messageId":1,"type":"subscribeRequest","subscriptions":[
        {"index":3,"type":"calls","elements":["name","participants"]}]}}"#;
    client.send(Message::text(subscribe)).await.unwrap();
    let ack = next(&mut client).await;
    assert_eq!(ack["messageAck"]["messageId"], 1);
    assert_eq!(ack["messageAck"]["status"], "success");
    let mut active = false;
    while !active {
        let message = next(&mut client).await;
        assert_eq!(message["message"]["type"], "subscriptionUpdate", "{message}");
        active = message["message"]["subscriptions"][0]["state"] == "active";
        let ack = serde_json::json!({"type": "messageAck", "messageAck": {
            "messageId": message["message"]["messageId"], "status": "success"}});
        client.send(Message::text(ack.to_string())).await.unwrap();
    }
    assert_eq!(shell.counted().event_connections, 1);
    client.close(None).await.unwrap();
    while let Ok(Some(Ok(_))) = tokio::time::timeout(LIMIT, client.next()).await {}
    shell.stop().await;
}

#[tokio::test]
async fn a_made_up_token_is_refused() {
    let (shell, _) = emulator(false).await;
    let tcp = TcpStream::connect(shell.address()).await.unwrap();
    let url = format!("ws://{}/events/v1?authToken=made-up", shell.address());
    let error = tokio_tungstenite::client_async(url, tcp).await.unwrap_err();
    assert!(error.to_string().contains("HTTP error"), "{error}");
    shell.stop().await;
}

#[tokio::test]
async fn the_emulator_is_probed_over_tls() {
    let (shell, link) = emulator(true).await;
    let capabilities = probe(&link).await.unwrap();
    assert!(capabilities.test_api && capabilities.unprivileged_account);
    assert!(capabilities.version.is_some(), "{capabilities:?}");
    shell.stop().await;
}
