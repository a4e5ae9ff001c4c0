//! A guest in Python, whose standard library reaches for a system: what it finds there is empty, and its time is counted.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::guests::build_or_say;

/// Ends with 0 where the deed was done, with 7 where the system refused it.
const APP: &str = r#"
import json
import os
import socket
import time

from wit_world import exports


def act(deed, what):
    if deed == "sleep":
        time.sleep(86400)
    elif deed == "read":
        open(what).read()
    elif deed == "list":
        os.listdir(what)
    elif deed == "write":
        open(what, "w").write("x")
    elif deed == "environment":
        os.environ[what]
    elif deed == "connect":
        connection = socket.socket()
        connection.connect(("127.0.0.1", int(what)))
    elif deed == "stumble":
        [][3]


class Command(exports.Command):
    def create(self, name, config):
        pass

    def run(self, arguments):
        given = json.loads(arguments)
        try:
            act(given["deed"], given.get("what", ""))
        except (OSError, KeyError):
            return 7
        return 0
"#;

const MANIFEST: &str = r#"
[plugin]
id = "snake"
version = "0.1.0"
api = "1"
description = "Reaches for a system"

[limits]
time = "3s"

[[component]]
kind = "command"
name = "snake"
description = "Reaches for a system"

[[component.argument]]
name = "deed"
positional = true
required = true
help = "What to try"

[[component.argument]]
name = "what"
positional = true
help = "With what"
"#;

#[test]
fn pythons_own_system_is_empty_and_its_sleep_is_counted() {
    let bench = Bench::new();
    bench.write("snake/app.py", APP);
    bench.write("snake/plugin.toml", MANIFEST);
    let folder = bench.work().join("snake");
    if build_or_say(&bench, &folder, &[]).is_none() {
        return;
    }
    bench.run(&["plugin", "install", "snake/snake.wasm"]).ok();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    bench.run(&["snake", "nothing"]).ok();
    for (deed, what) in [
        ("read", "/etc/passwd"),
        ("read", "../../etc/passwd"),
        ("read", "plugin.toml"),
        ("list", "/"),
        ("list", "."),
        ("write", "/tmp/snake"),
        ("write", "snake.txt"),
        ("environment", "HOME"),
        ("connect", &port),
    ] {
        bench.run(&["snake", deed, what]).code(7);
    }
    assert!(listener.accept().is_err(), "somebody connected");
    // What nobody caught is the error, in Python's words.
    bench.run(&["snake", "stumble"]).fails(
        3,
        &["plugin snake 0.1.0 panicked in command snake, run: IndexError: list index out of range"],
    );
    let begun = Instant::now();
    bench.run(&["snake", "sleep"]).fails(
        3,
        &[
            "ran longer than its limit of 3s",
            "snake 0.1.0",
            "command snake, run",
        ],
    );
    assert!(begun.elapsed() < Duration::from_mins(1));
}
