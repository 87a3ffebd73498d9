//! A step on one line, as it stands in the trace and in reports: the word, then what tells it from its neighbours.

use crate::scenario::syntax::{Emulate, Step, Template};

/// The text of a step; `value` gives the values of templates as far as they have one.
pub(super) fn of(step: &Step, mut value: impl FnMut(&Template) -> String) -> String {
    match step {
        Step::Token(step) => {
            let whose = step.credentials.as_ref().map_or("privileged", |name| name.value.as_str());
            format!("token {whose}{}", optional(&mut value, "as", step.store.as_ref()))
        }
        Step::Connect(step) => format!("connect {}", step.client.value),
        Step::Close(step) => format!("close {}", step.client.value),
        Step::Drop(step) => format!("drop {}", step.client.value),
        Step::Subscribe(step) => {
            let set: Vec<String> = step
                .set
                .iter()
                .map(|wanted| {
                    let wanted = &wanted.value;
                    format!("{} {}", value(&wanted.index), wanted.resource.value)
                })
                .collect();
            format!("subscribe {} [{}]", step.client.value, set.join(", "))
        }
        Step::Acks(step) => format!("acks {} {}", step.client.value, mode(step.mode)),
        Step::Ack(step) => format!("ack {} {}", step.client.value, value(&step.id)),
        Step::Send(step) => format!("send {} {}", step.client.value, shortened(step.message.to_string())),
        Step::SendText(step) => format!("send-text {} {}", step.client.value, shortened(value(&step.text))),
        Step::SendFrame(step) => format!("send-frame {} {}", step.client.value, step.opcode.value),
        Step::SendBytes(step) => format!("send-bytes {} {}", step.client.value, shortened(step.hex.clone())),
        Step::CreateSpace(step) => format!("create-space {} as {}", value(&step.name), value(&step.store)),
        Step::DeleteSpace(step) => format!("delete-space {}", value(&step.space)),
        Step::StartCall(step) => format!("start-call as {}", value(&step.store)),
        Step::ChangeCall(step) => format!("change-call {}{}", value(&step.call), fields(&step.set, value)),
        Step::EndCall(step) => format!("end-call {}", value(&step.call)),
        Step::Dial(step) => {
            let to = value(&step.to);
            format!("dial {to} into {}{}", value(&step.call), optional(&mut value, "as", step.store.as_ref()))
        }
        Step::ChangeParticipant(step) => {
            format!("change-participant {}{}", value(&step.participant), fields(&step.set, value))
        }
        Step::ChangeLeg(step) => format!("change-leg {}{}", value(&step.participant), fields(&step.set, value)),
        Step::HangUp(step) => format!("hang-up {}", value(&step.participant)),
        Step::Move(step) => format!("move {} to {}", value(&step.participant), value(&step.to)),
        Step::Request(step) => format!("request {} {}", step.method.value, value(&step.path)),
        Step::CallIn(step) => {
            let (space, call) = (step.space.as_ref(), step.call.as_ref());
            let from = format!("call-in {}", value(&step.from));
            from + &optional(&mut value, "space", space) + &optional(&mut value, "call", call)
        }
        Step::Emulate(step) => emulate(step, value),
        Step::Wait(step) => format!("wait {} {}", step.client.value, shortened(step.pattern.to_string())),
        Step::Rest(_) => "rest".to_owned(),
        Step::Pause(step) => format!("pause {:?}", step.time.0),
        Step::Compare(_) => "compare".to_owned(),
        Step::Expect(step) => format!("expect: {}", shortened(step.because.clone())),
        Step::Repeat(step) => format!("repeat {} to {}", step.each, step.to),
        of_receivers => receiver_step(of_receivers, value),
    }
}

/// The text of a step of CDR receivers.
fn receiver_step(step: &Step, mut value: impl FnMut(&Template) -> String) -> String {
    match step {
        Step::Listen(step) => format!("listen {}", step.receiver.value),
        Step::Refuse(step) => format!("refuse {}", step.receiver.value),
        Step::Register(step) => {
            format!("register {}{}", step.receiver.value, optional(&mut value, "as", step.uri.as_ref()))
        }
        Step::ChangeReceiver(step) => {
            let to = step.to.as_ref().map_or_else(String::new, |to| format!(" to {}", to.value));
            format!("change-receiver {}{to}{}", step.receiver.value, optional(&mut value, "to", step.uri.as_ref()))
        }
        Step::Unregister(step) => format!("unregister {}", step.receiver.value),
        Step::Plan(step) => format!("plan {} [{} entries]", step.receiver.value, step.entries.len()),
        Step::WaitRecord(step) => {
            format!("wait-record {} {}", step.receiver.value, shortened(step.pattern.to_string()))
        }
        Step::WaitSet(step) => {
            format!("wait-set {}{}", step.receiver.value, optional(&mut value, "count", step.count.as_ref()))
        }
        Step::Restart(_) => "restart".to_owned(),
        _ => String::new(),
    }
}

fn optional(value: &mut dyn FnMut(&Template) -> String, word: &str, template: Option<&Template>) -> String {
    template.map_or_else(String::new, |template| format!(" {word} {}", value(template)))
}

const fn mode(mode: crate::scenario::syntax::AckMode) -> &'static str {
    use crate::scenario::syntax::AckMode;
    match mode {
        AckMode::AtOnce => "at-once",
        AckMode::Withhold => "withhold",
        AckMode::Late => "late",
        AckMode::Repeat => "repeat",
    }
}

fn emulate(step: &Emulate, mut value: impl FnMut(&Template) -> String) -> String {
    let parts = [
        ("call", &step.call),
        ("participant", &step.participant),
        ("leg", &step.leg),
        ("space", &step.space),
        ("end", &step.end),
        ("into-call", &step.into_call),
        ("into-space", &step.into_space),
    ];
    let what: String = parts.iter().map(|(word, part)| optional(&mut value, word, part.as_ref())).collect();
    let message = step.message.as_ref().map_or_else(String::new, |m| format!(" {}", shortened(m.to_string())));
    let settings = fields(&step.settings, &mut value);
    format!("emulate{what}{message}{settings}{}", fields(&step.set, value))
}

fn fields(fields: &crate::scenario::syntax::Fields, mut value: impl FnMut(&Template) -> String) -> String {
    fields.iter().map(|(name, template)| format!(" {name}={}", value(template))).collect()
}

/// At most 80 characters on one line.
fn shortened(text: String) -> String {
    let line = text.replace(['\n', '\r'], " ");
    match line.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
