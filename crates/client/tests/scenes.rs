//! The client against a server that follows a script: losing, coming back, closing.

mod fake;

use std::time::Duration;

use fake::{Server, join_plaza, next, next_seq, soon};
use madang_client::{Bye, Client, Closing, ConnectError, Error, Event, Lost, Options};
use serde_json::json;

#[tokio::test]
async fn it_greets_joins_and_says() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = server.mina().await;
    assert_eq!(client.session().landing.as_deref(), Some("plaza"));
    join_plaza(&client, &mut peer, 10).await;

    let script = async {
        let say = peer.expect(json!({"op":"say","room":"plaza","text":"hello"})).await;
        peer.reply(&say, json!({"seq":11})).await;
        peer.said(11).await;
    };
    let (said, ()) = tokio::join!(client.say("plaza", "hello"), script);
    assert_eq!(said, Ok(11));
    assert_eq!(next_seq(&mut events).await, 11);
}

#[tokio::test]
async fn a_refusal_is_an_error_with_its_code() {
    let server = Server::start().await;
    let (client, _events, mut peer) = server.mina().await;
    let script = async {
        let join = peer.expect(json!({"op":"join"})).await;
        peer.reply(&join, json!({"error":{"code":"room_full","message":"duo-7 holds 2 and is full"}})).await;
    };
    let (joined, ()) = tokio::join!(client.join("duo-7"), script);
    let Err(Error::Refused(refusal)) = joined else { panic!("{joined:?}") };
    assert_eq!(refusal.code, "room_full");
}

#[tokio::test]
async fn coming_back_leaves_no_hole_and_repeats_nothing() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = server.mina().await;
    join_plaza(&client, &mut peer, 10).await;
    peer.said(11).await;
    assert_eq!(next_seq(&mut events).await, 11);
    drop(peer);
    assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));

    let mut peer = server.accept().await;
    let hello = peer.welcome(true).await;
    assert_eq!(hello["resume"], "s_1.secret");
    // The new connection stands in plaza already and hears it, before the missed ones come.
    peer.said(14).await;
    let join = peer.joins_plaza(14).await;
    assert_eq!((&join["after"], &join["epoch"]), (&json!(11), &json!("e1")));
    for seq in [12, 13, 14, 14, 15] {
        peer.said(seq).await;
    }

    assert_eq!(next(&mut events).await, Event::Connected { nick: "mina".into(), resumed: true });
    let Event::Rejoined { missed, .. } = next(&mut events).await else { panic!("not in plaza again") };
    assert_eq!(missed, 3);
    for seq in 12..=15 {
        assert_eq!(next_seq(&mut events).await, seq);
    }
}

#[tokio::test]
async fn a_landing_room_that_was_not_joined_is_left_on_coming_back() {
    let server = Server::start().await;
    let (_client, mut events, peer) = server.mina().await;
    drop(peer);
    assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));
    let mut peer = server.accept().await;
    peer.welcome(true).await;
    peer.expect(json!({"op":"leave","room":"plaza"})).await;
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_sent_again_with_its_key() {
    let server = Server::start().await;
    let (client, _events, mut peer) = server.mina().await;
    join_plaza(&client, &mut peer, 10).await;
    let script = async {
        let first = peer.expect(json!({"op":"say","text":"hello"})).await;
        drop(peer);
        let mut peer = server.accept().await;
        peer.welcome(true).await;
        peer.joins_plaza(11).await;
        let again = peer.expect(json!({"op":"say","room":"plaza","text":"hello"})).await;
        assert_eq!(again["key"], first["key"]);
        peer.reply(&again, json!({"seq":11})).await;
    };
    let (said, ()) = tokio::join!(client.say("plaza", "hello"), script);
    assert_eq!(said, Ok(11));
}

#[tokio::test]
async fn a_new_session_is_not_asked_to_repeat_what_the_old_one_may_have_said() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = server.mina().await;
    let in_doubt = client.begin_say("plaza", "in doubt").await.unwrap();
    peer.expect(json!({"text":"in doubt"})).await;
    drop(peer);
    assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));
    let never_sent = client.begin_say("plaza", "never sent").await.unwrap();

    let mut peer = server.accept().await;
    peer.welcome(false).await;
    peer.expect(json!({"op":"leave"})).await;
    assert_eq!(soon("the answer", in_doubt.seq()).await, Err(Error::Lost));
    let say = peer.expect(json!({"op":"say","text":"never sent"})).await;
    peer.reply(&say, json!({"seq":1})).await;
    assert_eq!(soon("the answer", never_sent.seq()).await, Ok(1));
}

#[tokio::test]
async fn without_a_connection_messages_wait_up_to_a_bound_and_the_rest_is_refused() {
    let server = Server::start().await;
    let options = Options::new().nick("mina").backoff(Duration::from_secs(60), Duration::from_secs(60));
    let (client, mut events, peer) = server.client(options).await;
    drop(peer);
    assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));

    assert_eq!(client.join("garden").await, Err(Error::NotConnected));
    let mut waiting = Vec::new();
    for _ in 0..madang_client::limits::COMMANDS_WAITING_MAX {
        waiting.push(client.begin_say("plaza", "hello").await.unwrap());
    }
    assert_eq!(client.say("plaza", "one too many").await, Err(Error::QueueFull));

    client.finish().await;
    assert_eq!(next(&mut events).await, Event::Closed { why: Closing::Asked });
    for receipt in waiting {
        assert_eq!(receipt.seq().await, Err(Error::Closed));
    }
    assert_eq!(events.next_event().await, None);
}

#[tokio::test]
async fn a_gap_is_told_fetched_and_told_in_order() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = server.mina().await;
    join_plaza(&client, &mut peer, 10).await;
    peer.send(json!({"ev":"gap","room":"plaza","from_seq":11,"to_seq":12})).await;
    peer.said(13).await;
    let history = peer.expect(json!({"op":"history","room":"plaza","after":10})).await;
    peer.said(14).await;
    let past = |seq: u64| json!({"ev":"said","seq":seq,"at":"t","from":"jun","text":"past"});
    peer.reply(&history, json!({"events":[past(11), past(12)],"first":1,"seq":14,"epoch":"e1"})).await;

    let gap = Event::Gap { room: "plaza".into(), from_seq: 11, to_seq: 12 };
    assert_eq!(next(&mut events).await, gap);
    for seq in 11..=14 {
        assert_eq!(next_seq(&mut events).await, seq);
    }
}

#[tokio::test]
async fn finishing_writes_everything_then_fin_and_hears_the_rest() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = server.mina().await;
    join_plaza(&client, &mut peer, 10).await;
    let mut receipts = Vec::new();
    for text in ["one", "two", "three"] {
        receipts.push(client.begin_say("plaza", text).await.unwrap());
    }
    client.finish().await;

    let mut says = Vec::new();
    for text in ["one", "two", "three"] {
        says.push(peer.expect(json!({"op":"say","text":text})).await);
    }
    peer.expect_fin().await;
    for (seq, say) in (11..).zip(&says) {
        peer.reply(say, json!({"seq":seq})).await;
        peer.said(seq).await;
    }
    peer.finish().await;

    for (seq, receipt) in (11..).zip(receipts) {
        assert_eq!(soon("the answer", receipt.seq()).await, Ok(seq));
        assert_eq!(next_seq(&mut events).await, seq);
    }
    assert_eq!(next(&mut events).await, Event::Closed { why: Closing::Asked });
    assert_eq!(client.say("plaza", "too late").await, Err(Error::Closed));
}

#[tokio::test]
async fn bye_ends_it_and_nobody_comes_back() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = server.mina().await;
    let script = async {
        let bye = peer.expect(json!({"op":"bye"})).await;
        peer.reply(&bye, json!({})).await;
        drop(peer);
    };
    let (said, ()) = tokio::join!(client.bye(), script);
    assert_eq!(said, Ok(()));
    assert_eq!(next(&mut events).await, Event::Closed { why: Closing::Asked });
}

#[tokio::test]
async fn a_server_that_says_when_to_come_back_is_heeded() {
    let server = Server::start().await;
    let (_client, mut events, mut peer) = server.mina().await;
    peer.send(json!({"ev":"bye","why":"shutdown","resume":true,"retry_ms":7})).await;
    drop(peer);
    let bye = Bye { why: "shutdown".into(), resume: true, retry_ms: Some(7) };
    assert_eq!(next(&mut events).await, Event::Bye(bye.clone()));
    let why = Lost::Closed(Some(bye));
    assert_eq!(next(&mut events).await, Event::Disconnected { why, retry_in: Duration::from_millis(7) });
    server.accept().await.welcome(true).await;
    assert!(matches!(next(&mut events).await, Event::Connected { resumed: true, .. }));
}

#[tokio::test]
async fn a_replaced_client_stays_away() {
    let server = Server::start().await;
    let (_client, mut events, mut peer) = server.mina().await;
    peer.send(json!({"ev":"bye","why":"replaced","resume":false})).await;
    drop(peer);
    assert!(matches!(next(&mut events).await, Event::Bye(_)));
    let Event::Closed { why: Closing::ByServer(bye) } = next(&mut events).await else {
        panic!("came back to a place that somebody else has taken")
    };
    assert_eq!(bye.why, "replaced");
}

#[tokio::test]
async fn a_room_that_has_no_place_any_more_is_told() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = server.mina().await;
    join_plaza(&client, &mut peer, 10).await;
    drop(peer);
    let mut peer = server.accept().await;
    peer.welcome(true).await;
    let join = peer.expect(json!({"op":"join"})).await;
    peer.reply(&join, json!({"error":{"code":"room_full","message":"plaza holds 1 and is full"}})).await;
    assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));
    assert!(matches!(next(&mut events).await, Event::Connected { .. }));
    let Event::RejoinRefused { room, refusal } = next(&mut events).await else { panic!("rejoined") };
    assert_eq!((room.as_str(), refusal.code.as_str()), ("plaza", "room_full"));
}

#[tokio::test]
async fn an_endless_line_is_a_lost_connection_and_no_more_memory() {
    let server = Server::start().await;
    let (_client, mut events, mut peer) = server.mina().await;
    let flood = "x".repeat(madang_client::limits::LINE_BYTES_MAX + 100_000);
    let flood = tokio::spawn(async move { peer.flood(flood.as_bytes()).await });
    let Event::Disconnected { why, .. } = next(&mut events).await else { panic!("took it") };
    assert!(matches!(why, Lost::Nonsense(_)), "{why}");
    soon("the server to notice", flood).await.unwrap();
}

#[tokio::test]
async fn a_program_that_takes_no_events_loses_none() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = server.mina().await;
    join_plaza(&client, &mut peer, 0).await;
    let many = madang_client::limits::EVENTS_WAITING_MAX as u64 * 3;
    let script = tokio::spawn(async move {
        for seq in 1..=many {
            peer.said(seq).await;
        }
        peer
    });
    let _peer = soon("the server to have written", script).await.unwrap();
    for seq in 1..=many {
        assert_eq!(next_seq(&mut events).await, seq);
    }
}

#[tokio::test]
async fn connecting_fails_with_the_reason() {
    let server = Server::start().await;
    let addr = server.addr();
    let script = async {
        let mut peer = server.accept().await;
        peer.line().await;
        let hello = peer.expect(json!({"op":"hello","nick":"mina"})).await;
        peer.reply(&hello, json!({"error":{"code":"nick_taken","message":"mina is taken"}})).await;
    };
    let (refused, ()) = tokio::join!(Client::connect(addr.clone(), Options::new().nick("mina")), script);
    assert!(matches!(refused, Err(ConnectError::Refused(refusal)) if refusal.code == "nick_taken"));

    drop(server);
    let nobody = Client::connect(addr, Options::new()).await;
    assert!(matches!(nobody, Err(ConnectError::Io { .. })));
}

#[tokio::test]
async fn another_kind_of_server_is_recognised() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let script = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail.example ESMTP\r\n").await.unwrap();
        let mut taken = [0; 200];
        tokio::io::AsyncReadExt::read(&mut stream, &mut taken).await.unwrap();
    };
    let (connected, ()) = tokio::join!(Client::connect(addr, Options::new()), script);
    let Err(ConnectError::NotMadang { found, .. }) = connected else { panic!("{connected:?}") };
    assert_eq!(found, "220 mail.example ESMTP");
}

#[tokio::test]
async fn a_silent_server_is_asked_once_and_then_given_up() {
    let server = Server::start().await;
    let (_client, mut events, mut peer) = server.mina().await;
    tokio::time::pause(); // from here on, waiting takes no time
    let ping = peer.line_at_last().await;
    assert!(ping.contains("\"ping\""), "{ping}");
    let lost = events.next_event().await;
    assert!(matches!(lost, Some(Event::Disconnected { why: Lost::Silent, .. })), "{lost:?}");
}
