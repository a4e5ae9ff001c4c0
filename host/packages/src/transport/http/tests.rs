use super::*;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::Mutex;

/// Answers each connection with the next of some texts; keeps the heads of the requests.
struct Server {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

fn server(answers: &[&str]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let mut answers: VecDeque<String> = answers.iter().map(|text| (*text).to_owned()).collect();
    let kept = Arc::clone(&heads);
    std::thread::spawn(move || {
        while let Some(answer) = answers.pop_front() {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines
                .map(Result::unwrap)
                .take_while(|line| !line.is_empty())
                .collect();
            kept.lock().unwrap().push(head.join("\n").to_lowercase());
            // The client may have closed the connection on purpose.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    Server { url, heads }
}

fn get(server: &Server, etag: Option<&str>, limit: u64) -> (Result<Answer>, Vec<u8>) {
    let mut body = Vec::new();
    let request = Request {
        path: "a/b-1.0.0+c",
        etag,
        limit,
    };
    let answer = Http::new(server.url.clone()).get(request, &mut body);
    (answer, body)
}

const FINE: &str =
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: \"v1\"\r\nconnection: close\r\n\r\nhello";

#[test]
fn a_body_comes_with_its_etag() {
    let server = server(&[FINE]);
    let (answer, body) = get(&server, None, 5);
    assert_eq!(
        answer.unwrap(),
        Answer::Body {
            etag: Some("\"v1\"".into())
        }
    );
    assert_eq!(body, b"hello");
    assert!(server.heads.lock().unwrap()[0].starts_with("get /a/b-1.0.0%2bc http/1.1"));
}

#[test]
fn an_etag_is_sent_and_304_is_understood() {
    let server = server(&["HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n"]);
    let (answer, body) = get(&server, Some("\"v1\""), 5);
    assert_eq!((answer.unwrap(), body.len()), (Answer::NotModified, 0));
    assert!(server.heads.lock().unwrap()[0].contains("if-none-match: \"v1\""));
}

#[test]
fn a_missing_file_is_an_answer() {
    let server =
        server(&["HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"]);
    assert_eq!(get(&server, None, 5).0.unwrap(), Answer::Missing);
}

#[test]
fn an_overloaded_server_is_asked_again() {
    let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server_once = server(&[busy, FINE]);
    assert_eq!(get(&server_once, None, 5).1, b"hello");
    let server_always = server(&[busy, busy, busy, FINE]);
    let error = get(&server_always, None, 5).0.unwrap_err();
    assert!(
        error.message().ends_with("the server answered 503"),
        "{error}"
    );
    assert_eq!(server_always.heads.lock().unwrap().len(), 3);
}

#[test]
fn what_breaks_off_is_no_file() {
    let server =
        server(&["HTTP/1.1 200 OK\r\ncontent-length: 50\r\nconnection: close\r\n\r\nhello"]);
    let error = get(&server, None, 50).0.unwrap_err();
    assert!(
        error.message().ends_with("was cut off on the way"),
        "{error}"
    );
}

#[test]
fn more_than_expected_is_not_taken() {
    let announced = server(&[
        "HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\nconnection: close\r\n\r\nhello",
    ]);
    let (answer, body) = get(&announced, None, 5);
    assert!(
        answer
            .unwrap_err()
            .message()
            .contains("has 10000000000 bytes or more, and 5")
    );
    assert!(body.is_empty());
    let endless = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}",
        "x".repeat(100_000)
    );
    let (answer, body) = get(&server(&[&endless]), None, 5);
    assert!(
        answer
            .unwrap_err()
            .message()
            .contains("and 5 are expected at most")
    );
    assert!(body.len() <= 6);
}

#[test]
fn other_answers_and_redirects_are_errors() {
    for (answer, words) in [
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "answered 403",
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://example.org/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "answered 302",
        ),
    ] {
        let error = get(&server(&[answer, answer, answer]), None, 5)
            .0
            .unwrap_err();
        assert!(error.message().contains(words), "{error} lacks {words}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let request = Request {
        path: "x",
        etag: None,
        limit: 5,
    };
    let error = Http::new(url.clone())
        .get(request, &mut Vec::new())
        .unwrap_err();
    assert_eq!(error.message(), format!("cannot reach {url}/x"));
    assert!(error.hint_text().unwrap().contains("--offline"));
}
