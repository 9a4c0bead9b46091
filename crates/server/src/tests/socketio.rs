//! Socket.IO clients: connecting, events and acknowledgments, the simple events of tutorials, and coming back.

use std::time::Duration;

use expect_test::expect;

use super::world::World;
use crate::config::{Config, Listener, RoomRule, RoomSettings};

impl World {
    /// A client that is connected to the namespace, and what it was told then.
    pub(super) fn connect_socketio(&mut self, name: &str, auth: &str) -> String {
        self.open_socketio(name);
        self.frames(name);
        self.frame(name, &format!("40{auth}"));
        self.frames(name).concat()
    }

    /// Emits an event with an object and asks for its acknowledgment, which is returned.
    pub(super) fn ask(&mut self, name: &str, event: &str, object: &str) -> String {
        self.frame(name, &format!(r#"427["{event}",{object}]"#));
        let frames = self.frames(name);
        let ack = frames.iter().find_map(|frame| frame.strip_prefix("437"));
        ack.unwrap_or_else(|| panic!("no acknowledgment in {frames:?}")).to_owned()
    }
}

fn pid_of(connected: &str) -> String {
    let at = connected.find("\"pid\":\"").unwrap_or_else(|| panic!("no pid in {connected}")) + 7;
    connected[at..].split('"').next().unwrap().to_owned()
}

/// The last argument of the last event, where that is a string.
fn offset_of(frames: &[String]) -> String {
    let last = frames.last().expect("there is an event");
    last.rsplit('"').nth(1).unwrap().to_owned()
}

fn texts(frames: &[String]) -> Vec<String> {
    let text = |frame: &String| Some(frame.split("\"text\":\"").nth(1)?.split('"').next()?.to_owned());
    frames.iter().filter_map(text).collect()
}

#[test]
fn the_handshake_is_a_hello_and_events_are_ops() {
    let mut world = World::new();
    world.people(["jun"]);
    world.open_socketio("mina");
    expect![[r#"
        0{"sid":"sid-mina","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#]]
    .assert_eq(&world.frames("mina").join("\n"));
    world.frame("mina", r#"40{"nick":"mina"}"#);
    assert!(world.frames("mina").concat().starts_with(r#"40{"sid":"s_"#));
    let joined = world.ask("mina", "join", r#"{"room":"plaza"}"#);
    assert!(joined.starts_with(r#"[{"room":"plaza","kind":"chat""#), "{joined}");
    assert_eq!(world.ask("mina", "say", r#"{"room":"plaza","text":"hi"}"#), r#"[{"seq":2}]"#);
    world.run("jun: hello");
    expect![[r#"
        42["said",{"ev":"said","room":"plaza","seq":3,"at":"2026-11-20T10:00:00.000Z","from":"jun","text":"hello"},"plaza:3"]"#]]
    .assert_eq(&world.frames("mina").join("\n"));
    assert_eq!(world.received("jun"), "* mina joined\n<mina> hi\n");
    let refused = world.ask("mina", "say", r#"{"room":"nowhere","text":"hi"}"#);
    assert!(refused.starts_with(r#"[{"error":{"code":"not_a_member","message":"#), "{refused}");
}

#[test]
fn a_join_sent_right_after_the_connect_answer_is_not_lost() {
    let mut world = World::new();
    world.open_socketio("mina");
    let mut bytes = Vec::new();
    for text in ["40", r#"420["join",{"room":"a"}]"#, r#"421["say",{"room":"a","text":"1"}]"#] {
        madang_wire::websocket::masked_text_frame(&mut bytes, text);
    }
    world.send("mina", &bytes);
    let frames = world.frames("mina");
    assert!(frames[1].starts_with("40{"), "{frames:?}");
    assert!(frames[2].starts_with("430[{\"room\":\"a\""), "{frames:?}");
    assert!(frames.iter().any(|frame| frame == r#"431[{"seq":2}]"#), "{frames:?}");
}

#[test]
fn a_taken_name_is_a_connect_error_and_another_try_is_free() {
    let mut world = World::new();
    world.people(["mina"]);
    let error = world.connect_socketio("x", r#"{"nick":"mina"}"#);
    expect![[r#"44{"message":"mina is taken, try another name","data":{"code":"nick_taken"}}"#]]
        .assert_eq(&error);
    world.frame("x", r#"40{"nick":"another"}"#);
    let again = world.frames("x").concat();
    assert!(again.starts_with("40{"), "{again}");
}

#[test]
fn other_namespaces_are_none() {
    let mut world = World::new();
    world.open_socketio("x");
    world.frames("x");
    world.frame("x", "40/admin,");
    assert_eq!(world.frames("x"), [r#"44/admin,{"message":"Invalid namespace"}"#]);
    assert!(world.connect_socketio("y", "").starts_with("40{"));
}

#[test]
fn who_does_not_speak_the_protocol_is_let_go() {
    let before = [r#"42["join",{"room":"a"}]"#, "4abc", "x", "49", "46", "451-[]"];
    for text in before {
        let mut world = World::new();
        world.open_socketio("x");
        world.frames("x");
        world.frame("x", text);
        assert_eq!(world.frames("x"), ["(close 1002)"], "{text}");
    }
    let after = [
        r#"42{"a":1}"#,
        r#"42[{"toString":1}]"#,
        r#"42[1]"#,
        "42[\"connect\"]",
        "4299999999999999999999999[\"join\"]",
        r#"45999999999-["say"]"#,
        r#"4511-["say"]"#,
        "40",
    ];
    for text in after {
        let mut world = World::new();
        world.connect_socketio("x", "");
        world.frame("x", text);
        assert_eq!(world.frames("x"), ["(close 1002)"], "{text}");
    }
}

#[test]
fn what_is_wrong_with_an_event_is_told_and_the_connection_stays() {
    let mut world = World::new();
    world.connect_socketio("x", "");
    for (event, code) in [
        (r#"["nosuch",{}]"#, "bad_command"),
        (r#"["hasOwnProperty",{}]"#, "bad_command"),
        (r#"["say","hi"]"#, "bad_command"),
        (r#"["join",{"room":"a b"}]"#, "bad_name"),
        (r#"["join",{"room":"a","room":"b"}]"#, "bad_json"),
        (r#"["room",5]"#, "bad_command"),
        (r#"["chat message","hi"]"#, "not_a_member"),
    ] {
        world.frame("x", &format!("421{event}"));
        let answer = world.frames("x").concat();
        assert!(answer.starts_with(&format!(r#"431[{{"error":{{"code":"{code}""#)), "{event}: {answer}");
        world.frame("x", &format!("42{event}"));
        let answer = world.frames("x").concat();
        assert!(
            answer.starts_with(&format!(r#"42["error",{{"ev":"error","code":"{code}""#)),
            "{event}: {answer}"
        );
    }
}

fn duos() -> World {
    let settings = RoomSettings { capacity: 2, ..Default::default() };
    let rooms = vec![RoomRule::new("duo-*", settings).unwrap()];
    World::with(Config { shards: 1, rooms, ..Config::default() })
}

#[test]
fn simple_clients_get_two_events_and_no_others() {
    let mut world = duos();
    for name in ["a", "b", "c"] {
        world.connect_socketio(name, "");
        world.frame(name, r#"42["room","duo-7"]"#);
    }
    assert_eq!(world.frames("a"), [""; 0], "nobody's coming is told");
    assert_eq!(world.frames("c"), [r#"42["result","failed",""]"#]);
    world.frame("a", r#"42["chat message","hi"]"#);
    assert_eq!(world.frames("a"), [r#"42["chat message","hi","duo-7:2"]"#], "the sender, too");
    assert_eq!(world.frames("b"), [r#"42["chat message","hi","duo-7:2"]"#]);
    assert_eq!(world.frames("c"), [""; 0], "nobody outside hears anything");
    world.frame("b", r#"42["room","elsewhere"]"#);
    world.frame("c", r#"42["room","duo-7"]"#);
    world.frame("c", r#"42["chat message","there is a place"]"#);
    assert_eq!(world.frames("a").len(), 1);
    assert_eq!(world.frames("b"), [""; 0], "the newest room is the only one");
}

#[test]
fn simple_clients_and_others_hear_each_other() {
    let mut world = World::new();
    world.people(["jun"]);
    world.connect_socketio("a", r#"{"nick":"mina"}"#);
    world.frame("a", r#"42["room","plaza"]"#);
    world.frame("a", r#"42["chat message","hi"]"#);
    world.run("jun: hello");
    assert_eq!(world.received("jun"), "* mina joined\n<mina> hi\n");
    assert_eq!(
        world.frames("a"),
        [r#"42["chat message","hi","plaza:2"]"#, r#"42["chat message","hello","plaza:3"]"#]
    );
    world.ask("a", "join", r#"{"room":"plaza"}"#);
    world.run("jun: again");
    assert_eq!(texts(&world.frames("a")), ["again"], "who joins gets the rest, too");
}

#[test]
fn heartbeats_go_out_when_they_are_due_and_silence_ends_the_session() {
    let mut world = World::new();
    world.connect_socketio("a", r#"{"nick":"mina"}"#);
    world.advance(Duration::from_millis(24_999));
    assert_eq!(world.frames("a"), [""; 0], "nothing is sent unasked");
    world.advance(Duration::from_millis(1));
    assert_eq!(world.frames("a"), ["2"]);
    world.frame("a", "3");
    world.advance(Duration::from_secs(25));
    assert_eq!(world.frames("a"), ["2"]);
    world.advance(Duration::from_secs(20));
    assert_eq!(world.frames("a"), ["1", "(close 4003)"]);
}

#[test]
fn who_never_connects_is_let_go_at_the_first_heartbeat() {
    let mut world = World::new();
    world.open_socketio("a");
    world.frames("a");
    world.advance(Duration::from_secs(25));
    assert_eq!(world.frames("a").last().unwrap(), "(close 1000)".replace("1000", "4003").as_str());
}

#[test]
fn out_of_the_namespace_and_in_again() {
    let mut world = World::new();
    world.people(["jun"]);
    world.connect_socketio("a", r#"{"nick":"mina"}"#);
    world.ask("a", "join", r#"{"room":"plaza"}"#);
    world.frame("a", "41");
    assert_eq!(world.received("jun"), "* mina joined\n* mina left\n");
    world.run("jun: hello");
    assert_eq!(world.frames("a"), [""; 0]);
    world.frame("a", "40");
    assert!(world.frames("a").concat().starts_with("40{"));
    assert!(world.ask("a", "join", r#"{"room":"plaza"}"#).contains("\"members\":[\"jun\",\"mina\"]"));
}

#[test]
fn who_leaves_on_purpose_keeps_no_name() {
    let mut world = World::new();
    world.connect_socketio("a", r#"{"nick":"mina"}"#);
    world.frame("a", "41");
    world.finish("a");
    assert!(world.connect_socketio("b", r#"{"nick":"mina"}"#).starts_with("40{"));
    world.reset("b");
    assert!(world.connect_socketio("c", r#"{"nick":"mina"}"#).starts_with("44{"), "a lost one is kept");
}

#[test]
fn an_upgrade_loses_and_repeats_nothing() {
    let mut world = World::new();
    world.people(["jun"]);
    world.connect_socketio("a", "");
    world.ask("a", "join", r#"{"room":"plaza"}"#);
    world.run("jun: before");
    // Nobody has fetched it yet when the socket changes.
    world.upgrade("a");
    world.run("jun: after");
    assert_eq!(texts(&world.frames("a")), ["before", "after"]);
    assert_eq!(world.ask("a", "say", r#"{"room":"plaza","text":"hi"}"#), r#"[{"seq":4}]"#);
}

#[test]
fn who_comes_back_gets_what_it_missed_and_is_recovered() {
    let mut world = World::new();
    world.people(["jun"]);
    let connected = world.connect_socketio("a", r#"{"nick":"mina"}"#);
    let pid = pid_of(&connected);
    world.ask("a", "join", r#"{"room":"plaza"}"#);
    world.run("jun: one");
    let mut offset = offset_of(&world.frames("a"));
    // The first time, and the hundredth.
    for nr in 0..100 {
        let name = format!("a{nr}");
        match nr % 3 {
            // The server has seen the old connection go, or has not, or the client closed it in order.
            0 => world.reset(if nr == 0 { "a".to_owned() } else { format!("a{}", nr - 1) }.as_str()),
            1 => {}
            _ => world.finish(&format!("a{}", nr - 1)),
        }
        world.run(&format!("jun: missed {nr}"));
        let back = world.connect_socketio(&name, &format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#));
        assert_eq!(pid_of(&back), pid, "round {nr}: {back}");
        assert_eq!(texts(&[back]), [format!("missed {nr}")]);
        world.run(&format!("jun: live {nr}"));
        let live = world.frames(&name);
        assert_eq!(texts(&live), [format!("live {nr}")]);
        offset = offset_of(&live);
    }
}

#[test]
fn one_that_got_no_event_at_all_is_recovered_too() {
    let mut world = World::new();
    world.people(["jun"]);
    let pid = pid_of(&world.connect_socketio("a", ""));
    world.ask("a", "join", r#"{"room":"plaza"}"#);
    world.reset("a");
    world.run("jun: missed");
    let back = world.connect_socketio("b", &format!(r#"{{"pid":"{pid}"}}"#));
    assert_eq!(pid_of(&back), pid);
    assert_eq!(texts(&[back]), ["missed"]);
}

#[test]
fn in_several_rooms_each_gets_its_own_rest() {
    for shards in [1, 3] {
        let mut world = World::with(Config { shards, ..Config::default() });
        world.people(["jun"]);
        let pid = pid_of(&world.connect_socketio("a", ""));
        for room in ["plaza", "garden", "hall"] {
            world.ask("a", "join", &format!(r#"{{"room":"{room}"}}"#));
            world.run(&format!("jun: /join {room}"));
        }
        world.run("jun: hall 1");
        world.run("jun: /join plaza");
        world.run("jun: plaza 1");
        let seen = world.frames("a");
        let offset = seen
            .iter()
            .find(|frame| frame.contains("hall 1"))
            .map(|frame| offset_of(std::slice::from_ref(frame)));
        let offset = offset.unwrap();
        // Sent, but never received: what came after `hall 1`.
        world.reset("a");
        world.run("jun: /join garden");
        world.run("jun: garden 1");
        world.run("jun: /join hall");
        world.run("jun: hall 2");
        let back = world.connect_socketio("b", &format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#));
        assert_eq!(pid_of(&back), pid, "{back}");
        for text in ["plaza 1", "garden 1", "hall 2"] {
            assert_eq!(back.matches(text).count(), 1, "{text} in {back}");
        }
        assert!(!back.contains("hall 1"), "{back}");
    }
}

#[test]
fn who_is_not_recovered_is_told_so_and_gets_nothing() {
    let mut world = World::with(Config {
        shards: 1,
        rooms: vec![
            RoomRule::new(
                "*",
                RoomSettings {
                    retention: madang_log::Retention { keep: 5, keep_for: None },
                    ..RoomSettings::default()
                },
            )
            .unwrap(),
        ],
        ..Config::default()
    });
    world.people(["jun"]);
    let pid = pid_of(&world.connect_socketio("a", ""));
    world.ask("a", "join", r#"{"room":"plaza"}"#);
    world.run("jun: one");
    let offset = offset_of(&world.frames("a"));
    world.reset("a");
    (0..10).for_each(|nr| world.run(&format!("jun: {nr}")));
    let back = world.connect_socketio("b", &format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#));
    assert_ne!(pid_of(&back), pid, "five events are gone for good");
    assert_eq!(texts(&[back]), [""; 0]);
    world.run("jun: later");
    assert_eq!(world.frames("b"), [""; 0], "a new client is in no room");
    world.received("jun");
    world.run("jun: /who");
    assert_eq!(world.received("jun"), "* here: jun\n");
    // Whoever makes up an offset, or another's pid, is new as well.
    for (pid, offset) in [("s_00.00.00000000", "plaza:3"), (&*pid, "plaza:99999"), (&*pid, "nonsense")] {
        let name = format!("c{offset}");
        let back = world.connect_socketio(&name, &format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#));
        assert!(back.starts_with("40{") && !back.contains(&format!("\"pid\":\"{pid}\"")), "{back}");
    }
}

#[test]
fn after_two_minutes_nobody_is_recovered() {
    let mut world = World::new();
    world.people(["jun"]);
    let pid = pid_of(&world.connect_socketio("a", ""));
    world.ask("a", "join", r#"{"room":"plaza"}"#);
    world.reset("a");
    world.advance(Duration::from_secs(121));
    let back = world.connect_socketio("b", &format!(r#"{{"pid":"{pid}"}}"#));
    assert_ne!(pid_of(&back), pid);
}

#[test]
fn recovery_can_be_turned_off() {
    let mut listener = Listener::http("127.0.0.1:0".parse().unwrap());
    if let crate::config::Service::Http(service) = &mut listener.service {
        service.recovery = false;
    }
    let listeners = vec![Listener::chat("127.0.0.1:0".parse().unwrap()), listener];
    let mut world = World::with(Config { shards: 1, listeners, ..Config::default() });
    world.people(["jun"]);
    let connected = world.connect_socketio("a", "");
    assert!(!connected.contains("pid"), "{connected}");
    world.ask("a", "join", r#"{"room":"plaza"}"#);
    world.run("jun: one");
    assert!(world.frames("a").concat().ends_with("\"text\":\"one\"}]"), "no offset");
}

#[test]
fn a_slow_client_is_told_of_its_gap_and_is_not_recovered_past_it() {
    let mut config = Config { shards: 1, ..Config::default() };
    config.limits.backlog_bytes = 1024;
    let mut world = World::with(config);
    world.people(["jun"]);
    let pid = pid_of(&world.connect_socketio("a", ""));
    world.ask("a", "join", r#"{"room":"plaza"}"#);
    world.set_window("a", Some(0));
    (0..50).for_each(|nr| world.run(&format!("jun: {nr}")));
    world.set_window("a", None);
    let frames = world.frames("a");
    assert!(
        frames.iter().any(|frame| frame.starts_with(r#"42["gap",{"ev":"gap","room":"plaza""#)),
        "{frames:?}"
    );
    world.reset("a");
    let back = world.connect_socketio("b", &format!(r#"{{"pid":"{pid}","offset":"plaza:2"}}"#));
    assert_ne!(pid_of(&back), pid);
}

#[derive(Clone, Debug)]
enum Act {
    /// Somebody says something in that room.
    Say(usize),
    /// The client comes into that room, or leaves it.
    Toggle(usize),
    /// The client gets so many bytes more, and then no more until it comes back.
    Stall(usize),
    /// Its connection breaks, unseen or seen by the server, and it comes back.
    ComeBack { is_seen: bool },
}

fn acts() -> impl proptest::strategy::Strategy<Value = Vec<Act>> {
    use proptest::prelude::*;
    let act = prop_oneof![
        6 => (0..3usize).prop_map(Act::Say),
        1 => (0..3usize).prop_map(Act::Toggle),
        1 => (0..400usize).prop_map(Act::Stall),
        2 => any::<bool>().prop_map(|is_seen| Act::ComeBack { is_seen }),
    ];
    proptest::collection::vec(act, 1..60)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    /// Whatever is lost on the way: a client that is recovered has seen every message of its rooms once, in order.
    #[test]
    fn who_is_recovered_misses_nothing_and_sees_nothing_twice(acts in acts(), shards in 1..3usize) {
        const ROOMS: [&str; 3] = ["plaza", "garden", "hall"];
        let mut world = World::with(Config { shards, ..Config::default() });
        world.people(["jun"]);
        ROOMS.iter().for_each(|room| world.run(&format!("jun: /join {room}")));
        let mut connection = 0;
        let mut name = "c0".to_owned();
        let mut pid = pid_of(&world.connect_socketio(&name, ""));
        let mut offset = None::<String>;
        let mut is_in = [false; 3];
        let mut stalled = false;
        let (mut said, mut expected, mut seen) = (0, Vec::<String>::new(), Vec::<String>::new());
        for act in acts {
            match act {
                Act::Say(room) => {
                    world.run(&format!("jun: /join {}", ROOMS[room]));
                    world.run(&format!("jun: nr {said}"));
                    if is_in[room] {
                        expected.push(format!("nr {said}"));
                    }
                    said += 1;
                }
                Act::Toggle(room) if !stalled => {
                    let event = if is_in[room] { "leave" } else { "join" };
                    world.frame(&name, &format!(r#"42["{event}",{{"room":"{}"}}]"#, ROOMS[room]));
                    is_in[room] = !is_in[room];
                }
                Act::Toggle(_) => {}
                Act::Stall(bytes) => {
                    world.set_window(&name, Some(bytes));
                    stalled = true;
                }
                Act::ComeBack { is_seen } => {
                    take(&mut world, &name, &mut seen, &mut offset);
                    if is_seen {
                        world.reset(&name);
                    }
                    connection += 1;
                    name = format!("c{connection}");
                    let offset_sent = offset.as_ref().map_or(String::new(), |at| format!(r#","offset":"{at}""#));
                    world.open_socketio(&name);
                    world.frame(&name, &format!(r#"40{{"pid":"{pid}"{offset_sent}}}"#));
                    let connected = take(&mut world, &name, &mut seen, &mut offset);
                    let new_pid = pid_of(&connected);
                    if new_pid != pid {
                        // It is told that it is a new client: what it missed is its own affair.
                        (pid, offset, is_in, seen) = (new_pid, None, [false; 3], Vec::new());
                        expected.clear();
                    }
                    stalled = false;
                }
            }
            if !stalled {
                take(&mut world, &name, &mut seen, &mut offset);
                // Rooms on two shards have no order between them.
                seen.sort_by_key(|text| text[3..].parse::<u32>().unwrap());
                proptest::prop_assert_eq!(&seen, &expected);
            }
        }
    }
}

/// What a client has received whole: its messages and the last offset. Returns the answer to its connect, if any.
fn take(world: &mut World, name: &str, seen: &mut Vec<String>, offset: &mut Option<String>) -> String {
    let bytes = world.received_bytes(name);
    let whole = madang_wire::websocket::whole_frames(&bytes);
    let mut connected = String::new();
    for (_, payload) in madang_wire::websocket::split_frames(&bytes[..whole]) {
        let frame = String::from_utf8(payload.to_vec()).unwrap();
        if frame.starts_with("40") {
            connected = frame;
        } else if frame.starts_with("42") {
            seen.extend(texts(std::slice::from_ref(&frame)));
            if frame.ends_with("\"]") {
                *offset = Some(offset_of(&[frame]));
            }
        }
    }
    connected
}
