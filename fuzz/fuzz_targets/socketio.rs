//! Socket.IO's packets: the same one when it is written again, or an error; and each event is answered.

#![no_main]

use libfuzzer_sys::fuzz_target;
use madang_wire::socketio::{
    ATTACHMENTS_MAX, Event, Kind, NAMESPACE_BYTES_MAX, OFFSET_BYTES_MAX, Offset, PID_BYTES_MAX, Packet,
    check_placeholders, encode_ack, encode_connect_error, encode_invalid_namespace, encode_raw_ack,
    encode_raw_event, parse, parse_auth, parse_event, request,
};
use madang_wire::websocket::{split_frames, whole_frames};
use madang_wire::{Answer, Op};
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = str::from_utf8(input) else { return };
    if let Some(offset) = Offset::parse(text) {
        assert_eq!(Offset::parse(&offset.to_string()), Some(offset));
    }
    // Not only what `parse` lets through.
    let _ = check_placeholders(text, 1);
    if let Ok(event) = parse_event(text) {
        answer(&event, 1);
    }
    let Ok(packet) = parse(text) else { return };
    assert!(packet.namespace.starts_with('/') && packet.namespace.len() <= NAMESPACE_BYTES_MAX);
    assert!(packet.attachments <= ATTACHMENTS_MAX);
    match packet.kind {
        Kind::Connect => connect(&packet),
        Kind::Event | Kind::BinaryEvent => {
            value(packet.data).as_array().expect("a list");
            if let Ok(event) = parse_event(packet.data) {
                write_again(&packet, &event);
                answer(&event, packet.id.unwrap_or(0));
            }
        }
        Kind::Ack | Kind::BinaryAck => {
            value(packet.data).as_array().expect("a list");
        }
        Kind::Disconnect | Kind::ConnectError => {}
    }
});

fn connect(packet: &Packet<'_>) {
    match parse_auth(packet.data) {
        Ok(auth) => {
            assert!(matches!(auth.hello, Op::Hello { .. }));
            assert!(auth.pid.is_none_or(|pid| pid.len() <= PID_BYTES_MAX));
            assert!(auth.offset.is_none_or(|offset| offset.len() <= OFFSET_BYTES_MAX));
        }
        Err(refusal) => {
            let told = framed(|out| encode_connect_error(out, packet.namespace, &refusal));
            let told = parse(&told).expect("a packet");
            assert_eq!((told.kind, told.namespace), (Kind::ConnectError, packet.namespace));
        }
    }
    let told = framed(|out| encode_invalid_namespace(out, packet.namespace));
    assert_eq!(parse(&told).expect("a packet").namespace, packet.namespace);
}

/// An echo is the same packet, argument for argument.
fn write_again(packet: &Packet<'_>, event: &Event<'_>) {
    let Packet { namespace, id, attachments, data, .. } = *packet;
    let again = framed(|out| encode_raw_event(out, namespace, id, &event.name, &event.args, attachments));
    let again = parse(&again).expect("a packet");
    assert_eq!((again.namespace, again.id, again.attachments), (namespace, id, attachments));
    assert_eq!(value(again.data), value(data));
    let placeholders = check_placeholders(data, attachments);
    assert_eq!(check_placeholders(again.data, attachments), placeholders);
    let args = parse_event(again.data).expect("an event").args;
    assert!(args.iter().map(|arg| arg.get()).eq(event.args.iter().map(|arg| arg.get())), "byte for byte");
    let ack = framed(|out| encode_raw_ack(out, namespace, 1, &event.args, attachments));
    assert_eq!(parse(&ack).expect("a packet").id, Some(1));
}

/// It is a request or a refusal, and either has an answer.
fn answer(event: &Event<'_>, id: u64) {
    let result = match request(event, Some(id)) {
        Ok(request) => {
            assert!(request.id.is_some());
            Ok(Answer::Pong)
        }
        Err(refused) => {
            assert!(refused.id.is_some());
            Err(refused.refusal)
        }
    };
    let ack = framed(|out| encode_ack(out, id, &result));
    let ack = parse(&ack).expect("a packet");
    assert_eq!((ack.kind, ack.id), (Kind::Ack, Some(id)));
    assert_eq!(value(ack.data)[0].get("error").is_some(), result.is_err());
}

fn framed(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    assert_eq!(whole_frames(&out), out.len());
    let (_, payload) = split_frames(&out).next().expect("a frame");
    let message = str::from_utf8(payload).expect("text");
    message.strip_prefix('4').expect("Engine.IO's message").to_owned()
}

/// What was written, as another reader reads it.
fn value(data: &str) -> Value {
    serde_json::from_str(data).expect("JSON")
}
