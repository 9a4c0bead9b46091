//! Whole talks: what is typed, a server of a few lines, and what the screen is given.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Types `typed` in a talk with `serve`, and gives back what was shown, in plain form, and how it ended.
async fn talk_with<F: Future<Output = ()>>(
    typed: &[&str],
    room: Option<&str>,
    serve: impl FnOnce(TcpListener) -> F,
) -> (String, Closing, obey::Obeyed) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let talking = async {
        let options = Options::new().nick("mina").backoff(Duration::from_millis(1), Duration::from_millis(9));
        let (client, events) = Client::connect(addr, options).await.unwrap();
        let view = Arc::new(Mutex::new(View::new(client.session().nick)));
        let (screen, mut lines) = mpsc::channel(1000);
        let (keyboard, inputs) = mpsc::channel(100);
        for line in typed {
            keyboard.send((*line).to_owned()).await.unwrap();
        }
        drop(keyboard);
        let talk = Talk { client, view, screen };
        let listening = listen::listen(talk.clone(), events);
        let obeying = Obey::new(talk).run(room.map(str::to_owned), inputs);
        let (closing, obeyed) = tokio::join!(listening, obeying);
        let shown: Vec<String> =
            std::iter::from_fn(|| lines.try_recv().ok()).map(|line| line.plain()).collect();
        (shown.join("\n"), closing, obeyed)
    };
    let both = async { tokio::join!(talking, serve(listener)).0 };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("the talk never ended")
}

/// Answers every op as a server with one busy room would, until the client's FIN, or until it is told to hang up.
async fn serve_one(listener: &TcpListener, hang_up_at: Option<&str>) {
    let (stream, _): (TcpStream, _) = listener.accept().await.unwrap();
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut answer = String::from("* you are Guest1 in plaza (2 here), /help lists the commands\n");
    loop {
        write.write_all(answer.as_bytes()).await.unwrap();
        let Some(line) = lines.next_line().await.unwrap() else { return };
        let Ok(op) = serde_json::from_str::<serde_json::Value>(&line) else {
            answer.clear();
            continue;
        };
        let text = op["text"].as_str().unwrap_or_default();
        if hang_up_at == Some(text) {
            return;
        }
        let (re, room) = (&op["id"], op["room"].as_str().unwrap_or_default());
        answer = match op["op"].as_str().unwrap() {
            "hello" => {
                let resumed = op.get("resume").is_some();
                format!(r#"{{"re":{re},"session":"s","resume":"r","resumed":{resumed},"nick":"mina"}}"#)
            }
            // What happens right after the answer must still be shown after the room's past.
            "join" => format!(
                "{}\n{}",
                format_args!(
                    r#"{{"re":{re},"room":"{room}","epoch":"e","seq":5,"count":2,"members":["jun"]}}"#
                ),
                format_args!(r#"{{"ev":"joined","room":"{room}","nick":"zoe"}}"#),
            ),
            "history" => format!(
                r#"{{"re":{re},"first":5,"seq":5,"events":[{{"ev":"said","room":"{room}","seq":5,"at":"","from":"jun","text":"of the past"}}]}}"#
            ),
            "say" if text == "no" => {
                format!(r#"{{"re":{re},"error":{{"code":"too_fast","message":"slow down"}}}}"#)
            }
            "say" => format!(
                "{}\n{}",
                format_args!(r#"{{"re":{re},"seq":6}}"#),
                format_args!(
                    r#"{{"ev":"said","room":"{room}","seq":6,"at":"","from":"mina","text":"{text}"}}"#
                ),
            ),
            _ => format!(r#"{{"re":{re},"room":"{room}"}}"#),
        } + "\n";
    }
}

/// Without the times, which are those of the machine's clock.
fn timeless(shown: &str) -> String {
    let lines = shown.lines().map(|line| match line.strip_prefix("* ") {
        Some(rest) if rest.contains(":") && rest[5..].starts_with(" <") => format!("* hh:mm{}", &rest[5..]),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_newcomer_sees_the_past_then_what_happens_and_its_own_words_once() {
    let serve = async |listener: TcpListener| serve_one(&listener, None).await;
    let (shown, closing, obeyed) = talk_with(&["hello", "no", "quit", "never read"], None, serve).await;
    let expected = "\
* you are mina in plaza (2 here), /help lists the commands
* hh:mm <jun> of the past
* zoe joined
<mina> hello
! too_fast: slow down";
    let mut lines: Vec<String> = timeless(&shown).lines().map(str::to_owned).collect();
    lines[3..].sort(); // an answer and an event have no order between them
    assert_eq!(lines, {
        let mut expected: Vec<&str> = expected.lines().collect();
        expected[3..].sort_unstable();
        expected
    });
    assert_eq!((closing, obeyed), (Closing::Asked, obey::Obeyed { quit: true, lost: 0 }));
}

#[tokio::test]
async fn another_room_is_entered_and_the_landing_room_left() {
    let serve = async |listener: TcpListener| serve_one(&listener, None).await;
    let (shown, ..) = talk_with(&["/leave"], Some("garden"), serve).await;
    let expected = "\
* you are mina in garden (2 here), /help lists the commands
* hh:mm <jun> of the past
* zoe joined
* left garden";
    assert_eq!(timeless(&shown), expected);
}

#[tokio::test]
async fn a_pipe_that_ends_during_an_outage_still_says_its_last_words() {
    let serve = async |listener: TcpListener| {
        serve_one(&listener, Some("last words")).await;
        serve_one(&listener, None).await;
    };
    let (shown, closing, obeyed) = talk_with(&["last words"], None, serve).await;
    assert!(shown.contains("connection lost") && shown.contains("back, nothing missed"), "{shown}");
    assert_eq!(shown.matches("<mina> last words").count(), 1, "{shown}");
    assert_eq!((closing, obeyed), (Closing::Asked, obey::Obeyed { quit: false, lost: 0 }));
}
