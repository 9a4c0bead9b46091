//! Scenes with servers of a few lines.

use tokio::net::TcpListener;

use super::*;

/// What `ping --count COUNT` tells about a server that does `serve` with its one connection.
async fn told<F: Future<Output = ()>>(count: u32, serve: impl FnOnce(TcpStream) -> F) -> (bool, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let args = Args {
        addr: listener.local_addr().unwrap().to_string(),
        interval: Duration::from_millis(5),
        count: Some(count),
        timeout: Duration::from_millis(500),
        text: None,
    };
    let mut out = Vec::new();
    let server = async { serve(listener.accept().await.unwrap().0).await };
    let (good, ()) = tokio::join!(ping(&args, &mut out), server);
    (good.unwrap(), String::from_utf8(out).unwrap())
}

async fn echo(mut stream: TcpStream) {
    let (mut read, mut write) = stream.split();
    tokio::io::copy(&mut read, &mut write).await.unwrap();
    write.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_echo_answers_every_line_and_both_sides_close() {
    let (good, told) = told(3, echo).await;
    assert!(good, "{told}");
    for part in
        ["connected to 127.0.0.1:", "sent 3: \"/ping 3\\n\"", "answer to 3 after", "answered with FIN"]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(told.contains("3 sent, 3 answered, 24 bytes received; round trip min"), "{told}");
}

#[tokio::test]
async fn a_greeting_is_no_answer() {
    let (good, told) = told(1, async |mut stream: TcpStream| {
        stream.write_all(b"* welcome\n").await.unwrap();
        echo(stream).await;
    })
    .await;
    assert!(good, "{told}");
    assert!(told.contains("received, unasked: \"* welcome\\n\""), "{told}");
}

#[tokio::test]
async fn control_characters_and_broken_text_are_shown_not_obeyed() {
    let (_, told) = told(1, async |mut stream: TcpStream| {
        stream.write_all(b"\x1b[31m \xff\xec\x95\x88\r\n").await.unwrap();
        echo(stream).await;
    })
    .await;
    assert!(told.contains(r#""\u{1b}[31m \xff안\r\n""#), "{told}");
}

#[tokio::test]
async fn a_fin_from_the_other_side_is_named() {
    let (good, told) = told(3, async |mut stream: TcpStream| {
        let mut byte = [0];
        while byte != *b"\n" {
            stream.read_exact(&mut byte).await.unwrap();
        }
        stream.write_all(b"test").await.unwrap();
    })
    .await;
    assert!(!good, "two lines were never sent: {told}");
    assert!(
        told.contains("answer to 1 after") && told.contains("closed the connection (FIN) after"),
        "{told}"
    );
}

#[tokio::test]
async fn a_reset_is_named() {
    let (good, told) = told(3, async |stream: TcpStream| {
        stream.peek(&mut [0]).await.unwrap();
        drop(stream); // with bytes unread: Linux says RST
    })
    .await;
    assert!(!good && told.contains("reset the connection (RST)"), "{told}");
}

#[tokio::test]
async fn a_silent_server_is_named_and_no_success() {
    let (good, told) = told(1, async |mut stream: TcpStream| {
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.unwrap();
    })
    .await;
    assert!(!good && told.contains("no answer to 1 within 500 ms"), "{told}");
    assert!(told.contains("1 sent, 0 answered, 0 bytes received\n"), "{told}");
}

#[tokio::test]
async fn nobody_listening_is_said_with_a_hint() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let args = Args {
        addr: free.to_string(),
        interval: Duration::from_secs(1),
        count: None,
        timeout: Duration::from_secs(5),
        text: None,
    };
    let mut out = Vec::new();
    assert!(!ping(&args, &mut out).await.unwrap());
    let told = String::from_utf8(out).unwrap();
    assert!(told.contains(&format!("nobody listens at {free} (connection refused); is the server running?")));
}
