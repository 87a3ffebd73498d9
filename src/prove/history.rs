//! Random histories: what users and clients of a Meeting Server might do, in any order, as a scenario.
//!
//! A history is a list of [`Deed`]s drawn from a seed. Writing it as a scenario follows a small model of what exists, and
//! passes over what makes no sense where it stands, so that any part of a history is a history: that makes shrinking
//! simple. A history that finds something is shrunk and printed as a scenario file that repeats it.

use std::fmt::Write as _;

use chacha20::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

/// The events clients that take part.
const CLIENTS: [&str; 3] = ["alice", "bob", "carol"];

/// The CDR receivers that take part.
const RECEIVERS: [&str; 2] = ["main", "spare"];

/// What a receiver may do with a set, besides answering 200.
const FAILURES: [&str; 12] = [
    "answer: 503",
    "answer: 404",
    "answer: 200, after: 300ms",
    "answer: 200, close: true",
    "answer: 200, bare: true",
    "fail: never",
    "fail: close-at-start",
    "fail: close-in-body",
    "fail: close-after-body",
    "fail: half-answer",
    "fail: reset-after-body",
    "fail: lose-answer",
];

/// How many deeds are drawn for most histories at most.
const USUAL: usize = 18;

/// How many deeds are drawn for the others at most.
const LONGEST: usize = 60;

/// One in how many histories may be that long.
const LONG_ONE_IN: u32 = 10;

/// One deed. Numbers choose among what exists, modulo how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A client connects.
    Connect(usize),
    /// A client closes its connection.
    Close(usize),
    /// A client's connection breaks.
    Break(usize),
    /// A client asks for a set: bits choose among the list of calls, and info and roster of each call.
    Subscribe(usize, u32),
    /// A client acknowledges late, not at all, or at once.
    Acks(usize, u32),
    /// A conference begins.
    StartCall,
    /// A conference ends.
    EndCall(usize),
    /// A conference is changed in one of several ways.
    ChangeCall(usize, u32),
    /// A party is dialled, with one of several outcomes, waited for or not.
    Dial(usize, u32),
    /// A participant leaves.
    HangUp(usize),
    /// A participant is changed in one of several ways.
    ChangeParty(usize, u32),
    /// A participant is moved to another conference.
    Move(usize, usize),
    /// Time passes, in milliseconds.
    Pause(u32),
    /// A receiver is put on the server's list.
    Register(usize),
    /// A receiver is taken off the server's list.
    Unregister(usize),
    /// A receiver fails a few sets in one of several ways.
    Fail(usize, u32),
    /// A receiver refuses connections.
    Refuse(usize),
    /// A receiver takes connections again.
    Listen(usize),
    /// The Call Bridge restarts.
    Restart,
    /// Nothing more arrives.
    Rest,
    /// Events and API are compared.
    Compare,
}

/// A history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Its deeds, in order.
    pub deeds: Vec<Deed>,
}

impl History {
    /// The history of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let longest = if random.random_ratio(1, LONG_ONE_IN) { LONGEST } else { USUAL };
        let length = random.random_range(4..=longest);
        let mut deeds = vec![Deed::StartCall, Deed::Connect(0)];
        if random.random_bool(0.6) {
            deeds.insert(0, Deed::Register(0));
        }
        deeds.extend((0..length).map(|_| deed(&mut random)));
        Self { deeds }
    }

    /// The history as a scenario file.
    pub fn scenario(&self) -> String {
        let mut told = Told::default();
        for deed in &self.deeds {
            told.tell(*deed);
        }
        let part = || CLIENTS.iter().zip(told.took_part).filter(|(_, took_part)| *took_part).map(|(name, _)| *name);
        let clients = part().collect::<Vec<_>>().join(", ");
        let acks: String = part().map(|name| format!("  - acks: {{client: {name}, mode: at-once}}\n")).collect();
        told.steps.push_str(&acks);
        for (place, name) in RECEIVERS.iter().enumerate().filter(|(place, _)| told.on_list[*place]) {
            let again = if told.listening[place] { "" } else { "  - listen: {receiver: main}\n" };
            told.steps.push_str(&again.replace("main", name));
            let _ = writeln!(told.steps, "  - plan: {{receiver: {name}, entries: []}}");
        }
        let receivers = RECEIVERS.iter().zip(told.ever_on_list).filter(|(_, ever)| *ever).map(|(name, _)| *name);
        let receivers = receivers.collect::<Vec<_>>().join(", ");
        told.steps.push_str("  - rest: {}\n  - compare: {}\n");
        format!(
            "title: A history drawn at random.\nexercises: [UPD-14]\nneeds: [limits, restart, test-api]\nclients: [{clients}]\nreceivers: [{receivers}]\nsteps:\n{}",
            told.steps
        )
    }

    /// The shortest history that still does what `fails` asks for, by leaving out deeds; bounded in how often it asks.
    pub fn shrink(&self, mut fails: impl FnMut(&Self) -> bool) -> Self {
        let (mut best, mut left) = (self.clone(), 200_u32);
        let mut size = best.deeds.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < best.deeds.len() && left > 0 {
                left -= 1;
                let mut shorter = best.clone();
                shorter.deeds.drain(at..(at + size).min(best.deeds.len()));
                if fails(&shorter) {
                    best = shorter;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        best
    }
}

fn deed(random: &mut ChaCha8Rng) -> Deed {
    let (one, other, bits) = (random.random_range(0..8_usize), random.random_range(0..8_usize), random.random::<u32>());
    match random.random_range(0..42_u32) {
        0..=1 => Deed::Connect(one),
        2 => Deed::Close(one),
        3 => Deed::Break(one),
        4..=9 => Deed::Subscribe(one, bits),
        10 => Deed::Acks(one, bits),
        11..=12 => Deed::StartCall,
        13 => Deed::EndCall(one),
        14..=16 => Deed::ChangeCall(one, bits),
        17..=20 => Deed::Dial(one, bits),
        21 => Deed::HangUp(one),
        22..=24 => Deed::ChangeParty(one, bits),
        25 => Deed::Move(one, other),
        26..=28 => Deed::Pause(bits % 400 + 1),
        29..=30 => Deed::Rest,
        31..=33 => Deed::Register(one),
        34 => Deed::Unregister(one),
        35..=37 => Deed::Fail(one, bits),
        38 => Deed::Refuse(one),
        39 => Deed::Listen(one),
        40 if bits.is_multiple_of(3) => Deed::Restart,
        _ => Deed::Compare,
    }
}

/// What exists while a history is told.
#[derive(Debug, Default)]
struct Told {
    steps: String,
    connected: [bool; CLIENTS.len()],
    took_part: [bool; CLIENTS.len()],
    withholding: [bool; CLIENTS.len()],
    on_list: [bool; RECEIVERS.len()],
    ever_on_list: [bool; RECEIVERS.len()],
    listening: [bool; RECEIVERS.len()],
    /// Calls that are under way, by number.
    calls: Vec<usize>,
    /// Parties that are connected: their number and their call.
    parties: Vec<(usize, usize)>,
    made: usize,
    requests: usize,
}

impl Told {
    fn step(&mut self, text: &str) {
        let _ = writeln!(self.steps, "  - {text}");
    }

    fn made(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    fn call(&self, which: usize) -> Option<usize> {
        (!self.calls.is_empty()).then(|| self.calls[which % self.calls.len()])
    }

    fn party(&self, which: usize) -> Option<(usize, usize)> {
        (!self.parties.is_empty()).then(|| self.parties[which % self.parties.len()])
    }

    fn client(&self, which: usize) -> Option<usize> {
        Some(which % CLIENTS.len()).filter(|client| self.connected[*client])
    }

    fn tell(&mut self, deed: Deed) {
        match deed {
            Deed::Connect(which) => {
                let client = which % CLIENTS.len();
                self.connected[client] = true;
                self.took_part[client] = true;
                self.step(&format!("connect: {{client: {}, if-closed: true}}", CLIENTS[client]));
            }
            Deed::Close(which) => self.leave(which, "close"),
            Deed::Break(which) => self.leave(which, "drop"),
            Deed::Subscribe(which, bits) => self.subscribe(which, bits),
            Deed::Acks(which, bits) => {
                let Some(client) = self.client(which) else { return };
                let mode = ["mode: withhold", "mode: late, by: 30ms", "mode: at-once"][bits as usize % 3];
                self.withholding[client] = bits.is_multiple_of(3);
                self.step(&format!("acks: {{client: {}, {mode}}}", CLIENTS[client]));
            }
            Deed::StartCall if self.calls.len() < 4 => {
                let call = self.made();
                self.calls.push(call);
                self.step(&format!("start-call: {{as: call-{call}}}"));
            }
            Deed::StartCall => {}
            Deed::EndCall(which) => {
                let Some(call) = self.call(which) else { return };
                self.calls.retain(|known| *known != call);
                self.parties.retain(|(_, known)| *known != call);
                self.step(&format!("end-call: {{call: '${{call-{call}}}'}}"));
            }
            Deed::ChangeCall(which, bits) => self.change_call(which, bits),
            Deed::Dial(which, bits) => self.dial(which, bits),
            Deed::HangUp(which) => {
                let Some((party, _)) = self.party(which) else { return };
                self.parties.retain(|(known, _)| *known != party);
                self.step(&format!("hang-up: {{participant: '${{party-{party}}}'}}"));
            }
            Deed::ChangeParty(which, bits) => self.change_party(which, bits),
            Deed::Move(which, to) => {
                let (Some((party, here)), Some(there)) = (self.party(which), self.call(to)) else { return };
                if here == there {
                    return;
                }
                let moved = self.made();
                self.parties.retain(|(known, _)| *known != party);
                self.parties.push((moved, there));
                self.step(&format!(
                    "move: {{participant: '${{party-{party}}}', to: '${{call-{there}}}', as: party-{moved}}}"
                ));
            }
            Deed::Pause(ms) => self.step(&format!("pause: {{for: {ms}ms}}")),
            Deed::Rest => self.step("rest: {}"),
            Deed::Compare => {
                // Only what every client has had the chance to be told can be compared.
                if !self.withholding.contains(&true) {
                    self.step("rest: {}");
                    self.step("compare: {}");
                }
            }
            of_receivers => self.tell_receivers(of_receivers),
        }
    }

    fn tell_receivers(&mut self, deed: Deed) {
        match deed {
            Deed::Register(which) => self.register(which % RECEIVERS.len()),
            Deed::Unregister(which) => {
                let Some(place) = self.receiver(which) else { return };
                self.on_list[place] = false;
                self.step(&format!("unregister: {{receiver: {}}}", RECEIVERS[place]));
            }
            Deed::Fail(which, bits) => {
                let Some(place) = self.receiver(which) else { return };
                let (how, times) = (FAILURES[bits as usize % FAILURES.len()], (bits >> 8) % 3 + 1);
                let entry = format!("{{times: {times}, {how}}}");
                self.step(&format!("plan: {{receiver: {}, entries: [{entry}]}}", RECEIVERS[place]));
            }
            Deed::Refuse(which) => {
                let Some(place) = self.receiver(which).filter(|place| self.listening[*place]) else { return };
                self.listening[place] = false;
                self.step(&format!("refuse: {{receiver: {}}}", RECEIVERS[place]));
            }
            Deed::Listen(which) => {
                let Some(place) = self.receiver(which).filter(|place| !self.listening[*place]) else { return };
                self.listening[place] = true;
                self.step(&format!("listen: {{receiver: {}}}", RECEIVERS[place]));
            }
            Deed::Restart => {
                self.connected = [false; CLIENTS.len()];
                self.withholding = [false; CLIENTS.len()];
                self.calls.clear();
                self.parties.clear();
                self.step("restart: {}");
            }
            _ => {}
        }
    }

    /// A receiver that is on the list.
    fn receiver(&self, which: usize) -> Option<usize> {
        Some(which % RECEIVERS.len()).filter(|place| self.on_list[*place])
    }

    fn register(&mut self, place: usize) {
        if self.on_list[place] {
            return;
        }
        if self.ever_on_list[place] && !self.listening[place] {
            self.step(&format!("listen: {{receiver: {}}}", RECEIVERS[place]));
        }
        (self.on_list[place], self.ever_on_list[place], self.listening[place]) = (true, true, true);
        self.step(&format!("register: {{receiver: {}}}", RECEIVERS[place]));
    }

    fn leave(&mut self, which: usize, how: &str) {
        let Some(client) = self.client(which) else { return };
        self.connected[client] = false;
        self.withholding[client] = false;
        self.step(&format!("acks: {{client: {}, mode: at-once}}", CLIENTS[client]));
        self.step(&format!("{how}: {{client: {}}}", CLIENTS[client]));
    }

    /// Indexes belong to one resource of one call for good, so that requests are regular.
    fn subscribe(&mut self, which: usize, bits: u32) {
        let Some(client) = self.client(which) else { return };
        let elements = |bit: u32| if bits & (1 << bit) == 0 { "elements: all" } else { "elements: [name, state]" };
        let mut set = Vec::new();
        if bits & 1 == 0 {
            set.push("{index: 1, type: calls, elements: all}".to_owned());
        }
        for (place, call) in self.calls.iter().enumerate() {
            let bit = place as u32 * 4 + 1;
            if bits & (1 << bit) == 0 {
                set.push(format!(
                    "{{index: {}, type: callInfo, call: '${{call-{call}}}', elements: [name, lockState, recording]}}",
                    call * 2
                ));
            }
            if bits & (1 << (bit + 1)) == 0 {
                set.push(format!(
                    "{{index: {}, type: callRoster, call: '${{call-{call}}}', {}}}",
                    call * 2 + 1,
                    // The same call is always asked for in the same way by one client, so that nothing is re-used.
                    if client == 0 { "elements: all" } else { elements(20) }
                ));
            }
        }
        self.requests += 1;
        // A client that withholds acks may not hear of its own subscriptions.
        let until = if self.withholding[client] || bits & (1 << 30) != 0 { ", until: sent" } else { "" };
        self.step(&format!("subscribe: {{client: {}, set: [{}]{until}}}", CLIENTS[client], set.join(", ")));
    }

    fn change_call(&mut self, which: usize, bits: u32) {
        let Some(call) = self.call(which) else { return };
        let yes = bits & 64 == 0;
        let number = self.made();
        let set = match bits % 5 {
            0 => format!("name: 'name {number}'"),
            1 => format!("locked: {yes}"),
            2 => format!("recording: {yes}"),
            3 => format!("streaming: {yes}"),
            _ => format!("joinAudioMuteOverride: {yes}"),
        };
        self.step(&format!("change-call: {{call: '${{call-{call}}}', set: {{{set}}}}}"));
    }

    fn dial(&mut self, which: usize, bits: u32) {
        let Some(call) = self.call(which).filter(|_| self.parties.len() < 12) else { return };
        let party = self.made();
        let (to, until) = match bits % 8 {
            0 => ("busy", "gone"),
            1 => ("rejects", "gone"),
            2 => ("unknown", "sent"),
            3 => ("no-answer", "sent"),
            4 => ("answers", "sent"),
            _ => ("answers", "connected"),
        };
        if until == "connected" {
            self.parties.push((party, call));
        }
        self.step(&format!("dial: {{call: '${{call-{call}}}', to: {to}, as: party-{party}, until: {until}}}"));
    }

    fn change_party(&mut self, which: usize, bits: u32) {
        let Some((party, _)) = self.party(which) else { return };
        let yes = bits & 64 == 0;
        let layout = ["allEqual", "speakerOnly", "telepresence", "stacked"][(bits >> 8) as usize % 4];
        let step = match bits % 8 {
            0 => format!("change-leg: {{participant: '${{party-{party}}}', set: {{rxAudioMute: {yes}}}}}"),
            1 => format!("change-leg: {{participant: '${{party-{party}}}', set: {{rxVideoMute: {yes}}}}}"),
            2 => format!("change-leg: {{participant: '${{party-{party}}}', set: {{chosenLayout: {layout}}}}}"),
            3 => format!("emulate: {{participant: '${{party-{party}}}', set: {{activeSpeaker: {yes}}}}}"),
            4 => format!("emulate: {{participant: '${{party-{party}}}', set: {{presenter: {yes}}}}}"),
            5 => format!("emulate: {{participant: '${{party-{party}}}', set: {{canMove: {yes}}}}}"),
            6 => format!("emulate: {{participant: '${{party-{party}}}', set: {{endpointRecording: {yes}}}}}"),
            _ => {
                format!("change-participant: {{participant: '${{party-{party}}}', set: {{importance: {}}}}}", bits % 7)
            }
        };
        self.step(&step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    #[test]
    fn every_history_and_every_part_of_one_is_a_scenario() {
        for seed in 0..200 {
            let mut history = History::draw(seed);
            while !history.deeds.is_empty() {
                let text = history.scenario();
                scenario::read("drawn", &text).unwrap_or_else(|errors| panic!("seed {seed}: {errors:?}\n{text}"));
                history.deeds.remove(seed as usize % history.deeds.len());
            }
        }
    }

    #[test]
    fn shrinking_leaves_what_matters() {
        let history = (0..).map(History::draw).find(|one| one.deeds.len() > 15).unwrap();
        let wanted = history.deeds[9];
        let short = history.shrink(|one| one.deeds.contains(&wanted));
        assert_eq!(short.deeds, [wanted]);
    }
}
