//! The emulated Meeting Server over real sockets, spoken to by a WebSocket client that others wrote.
//!
//! What is said about the events interface is tested with the emulator itself; here it is shown that the shell carries
//! it: tokens, the upgrade, acknowledgements and states, that `probe` takes the emulator for what it is, and that the
//! engine carries out a scenario over sockets as it does in simulation.

use std::net::SocketAddr;
use std::time::Duration;

use bridgeproof::emulator::{MeetingServer, Settings};
use bridgeproof::engine::{End, Engine, Options, Outcome};
use bridgeproof::net::clock::Clock;
use bridgeproof::net::emulator_shell::{EmulatorShell, ShellOptions, start};
use bridgeproof::net::probe::probe;
use bridgeproof::net::socket_driver::{Link, drive};
use bridgeproof::net::target::{Accounts, Target, Tls};
use bridgeproof::net::tls::ServerTls;
use bridgeproof::protocol::api::names::{AUTH_TOKENS, TOKEN_HEADER};
use bridgeproof::protocol::http::{Method, Request};
use bridgeproof::protocol::ws::frame::Opcode;
use bridgeproof::simulation::{Limits, Server, simulate};
use bridgeproof::trace::{Event, Observation, Side, Sink};
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
    let options = ShellOptions { listen, tls, accounts: accounts.clone(), observer: None, tell: None };
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

const SCENARIO: &str = "
title: A call appears in the list of calls and leaves it.
exercises: [SUB-01]
clients: [alice]
steps:
  - connect: {client: alice}
  - subscribe: {client: alice, set: [{index: 1, type: calls, elements: [name, participants]}]}
  - start-call: {as: call}
  - rest: {}
  - end-call: {call: '${call}'}
  - rest: {}
";

/// The text messages of the server, without what differs from server to server.
#[derive(Default)]
struct Heard(Vec<String>);

impl Sink for Heard {
    fn observe(&mut self, observation: &Observation<'_>) {
        if let Event::Frame { from: Side::Server, frame, text: Some(_), .. } = &observation.event
            && frame.header.opcode == Opcode::TEXT
        {
            let message: serde_json::Value = serde_json::from_slice(frame.payload).unwrap();
            let inner = &message["message"];
            let entry = &inner["updates"][0]["updateType"];
            let state = &inner["subscriptions"][0]["state"];
            self.0.push(format!("{} {} {entry} {state}", message["type"], inner["type"]));
        }
    }
}

fn check((heard, outcome): (Heard, Outcome)) -> Vec<String> {
    assert_eq!(outcome.end, End::Finished);
    assert_eq!((outcome.network_errors.len(), outcome.left_behind.len()), (0, 0));
    heard.0
}

#[tokio::test]
async fn the_engine_hears_over_sockets_what_it_hears_in_simulation() {
    let scenario = bridgeproof::scenario::parse::parse("test.yaml", SCENARIO).unwrap();
    let simulated =
        simulate("test", &scenario, Options::default(), Server::default(), Heard::default(), &Limits::default());
    let simulated = check(simulated);
    assert!(simulated.len() > 3, "{simulated:?}");
    for secure in [false, true] {
        let (shell, link) = emulator(secure).await;
        let (_keep, interrupt) = tokio::sync::watch::channel(false);
        let mut engine = Engine::new("test", &scenario, Options::default(), Heard::default());
        tokio::time::timeout(LIMIT, drive(&mut engine, &link, interrupt)).await.expect("the engine should be done");
        assert_eq!(check(engine.finish()), simulated);
        assert_eq!(shell.counted().event_connections, 0);
        shell.stop().await;
    }
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
    let version = capabilities.software_version.map(|text| text.parse::<bridgeproof::spec::Version>());
    assert!(matches!(version, Some(Ok(_))), "{version:?}");
    shell.stop().await;
}
