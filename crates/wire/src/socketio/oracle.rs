//! Another implementation judges: what it writes we read, and what we write it reads.

use proptest::prelude::*;
use serde_json::json;
use socketioxide_core::packet::{Packet as Theirs, PacketData};
use socketioxide_core::parser::{Parse, ParseConfig, ParseError, ParserState};
use socketioxide_core::{Str, Value};
use socketioxide_parser_common::CommonParser;

use super::tests::{any_json, framed};
use super::*;

/// What another implementation reads; `None` where it waits for attachments.
fn read_by_them(packet: String) -> Option<Theirs> {
    let state = ParserState::default();
    let read = CommonParser.decode_str(&ParseConfig::default(), &state, packet.into());
    match read {
        Ok(packet) => Some(packet),
        Err(ParseError::NeedsMoreBinaryData) => {
            let kept = state.partial_bin_packet.lock().unwrap().take();
            assert!(kept.is_some());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn written_by_them(packet: Theirs) -> String {
    CommonParser.encode(packet).as_str().unwrap().to_string()
}

fn any_namespace() -> impl Strategy<Value = String> {
    prop_oneof![Just("/".to_owned()), "/[a-z]{1,8}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_they_write_we_read(
        namespace in any_namespace(),
        id in proptest::option::of(0..=i64::MAX),
        args in proptest::collection::vec(any_json(), 0..3),
        binaries in 0..3usize,
    ) {
        let mut list = vec![json!("x")];
        list.extend(args);
        let data = json!(list).to_string();
        let binaries = vec![Default::default(); binaries];
        let plain = || Value::Str(data.clone().into(), None);
        let binary = || Value::Str(data.clone().into(), Some(binaries.clone().into()));
        let namespace_of = || Str::from(namespace.clone());
        let number = id.map(|id| id as u64);
        let our_data = data.as_str();
        let mut expected = vec![
            (PacketData::Connect(None), Kind::Connect, None, 0, ""),
            (PacketData::Connect(Some(Value::Str("{}".into(), None))), Kind::Connect, None, 0, "{}"),
            (PacketData::Disconnect, Kind::Disconnect, None, 0, ""),
            (PacketData::Event(plain(), id), Kind::Event, number, 0, our_data),
            (PacketData::BinaryEvent(binary(), id), Kind::BinaryEvent, number, binaries.len(), our_data),
        ];
        if let Some(id) = id {
            expected.push((PacketData::EventAck(plain(), id), Kind::Ack, number, 0, our_data));
            let ack = PacketData::BinaryAck(binary(), id);
            expected.push((ack, Kind::BinaryAck, number, binaries.len(), our_data));
        }
        for (inner, kind, id, attachments, data) in expected {
            let text = written_by_them(Theirs { inner, ns: namespace_of() });
            prop_assert_eq!(parse(&text), Ok(Packet { kind, namespace: &namespace, id, attachments, data }));
        }
    }

    #[test]
    fn what_we_write_they_read(
        namespace in any_namespace(),
        id in proptest::option::of(0..=i64::MAX),
        args in proptest::collection::vec(any_json(), 0..3),
        name in "[a-z\" 한]{0,8}",
        attachments in 0..=ATTACHMENTS_MAX,
    ) {
        let mut list = vec![json!(name)];
        list.extend(args);
        let data = json!(list).to_string();
        let acknowledged = json!(list[1..]).to_string();
        let Event { args, .. } = match parse_event(&data) {
            Ok(event) => event,
            Err(_) => return Ok(()),
        };
        let text = |data: &str| Value::Str(data.to_owned().into(), None);
        let number = id.map(|id| id as u64);

        let told = framed(|out| encode_raw_event(out, &namespace, number, &name, &args, attachments));
        let read = read_by_them(told);
        prop_assert_eq!(read.is_none(), attachments > 0);
        if let Some(read) = read {
            prop_assert_eq!(read.inner, PacketData::Event(text(&data), id));
            prop_assert_eq!(read.ns.as_str(), &namespace);
        }
        if let Some(id) = id {
            let told = framed(|out| encode_raw_ack(out, &namespace, id as u64, &args, 0));
            let read = read_by_them(told).unwrap();
            prop_assert_eq!(read.inner, PacketData::EventAck(text(&acknowledged), id));
        }
        let told = framed(|out| encode_connect(out, &namespace, "wZX3", None));
        let sid = text(&json!({"sid": "wZX3"}).to_string());
        prop_assert_eq!(read_by_them(told).unwrap().inner, PacketData::Connect(Some(sid)));
        let told = framed(|out| encode_disconnect(out, &namespace));
        prop_assert_eq!(read_by_them(told).unwrap(), Theirs::disconnect(namespace));
    }
}
