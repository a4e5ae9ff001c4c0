//! A registry at a server with TLS: an authority that the user names is believed, nothing else that the system does not
//! know, and nothing is fetched without encryption.

use codex_packages::transport::AUTHORITIES;

use super::server::{Authority, Mood, Server};
use super::{publish, with_registry};
use crate::bench::{Bench, Ran};

/// Runs with a file of authorities.
fn under(bench: &Bench, authorities: &str, arguments: &[&str]) -> Ran {
    let mut command = bench.command(arguments);
    command.env(AUTHORITIES, authorities);
    Ran::new(arguments, command.output().unwrap())
}

#[test]
fn an_install_from_a_server_with_tls_by_an_authority_of_ones_own() {
    let bench = with_registry();
    let authority = Authority::new();
    let server = Server::encrypted(bench.work().join("registry"), &authority, "localhost");
    bench.write("ca.pem", authority.pem());
    let run = |arguments: &[&str]| under(&bench, "ca.pem", arguments);
    run(&["registry", "connect", "web", &server.url]).ok();
    run(&["plugin", "install", "words"])
        .ok()
        .shows(&["words 0.1.0"]);
    bench
        .run(&["plugin", "info", "words"])
        .ok()
        .shows(&["words 0.1.0", "https://localhost"]);
    // The next state is fetched by ETag, over the same encryption.
    publish(&bench, "0.1.1").ok();
    server.seen();
    run(&["plugin", "update"])
        .ok()
        .shows(&["words 0.1.0 -> 0.1.1"]);
    server.seen();
    run(&["plugin", "update"]).ok();
    assert_eq!(server.seen(), ["snapshot.json 304"]);
    run(&["registry", "verify", "web"]).ok();
}

#[test]
fn who_cannot_prove_the_name_is_not_asked() {
    let bench = with_registry();
    let (authority, other) = (Authority::new(), Authority::new());
    let folder = bench.work().join("registry");
    let server = Server::encrypted(folder.clone(), &authority, "localhost");
    bench.write("ca.pem", authority.pem());
    bench.write("other.pem", other.pem());
    let connect = |server: &Server, authorities: &str| {
        under(
            &bench,
            authorities,
            &["registry", "connect", "web", &server.url],
        )
    };
    let proof = "does not prove to be the one of that name";
    for authorities in ["", "other.pem"] {
        connect(&server, authorities)
            .code(3)
            .tells(&[proof, AUTHORITIES]);
    }
    let misnamed = Server::encrypted(folder, &authority, "plugins.example.org");
    connect(&misnamed, "ca.pem").code(3).tells(&[proof]);
    connect(&server, "nowhere.pem")
        .code(2)
        .tells(&["nowhere.pem, which cannot be read"]);
    for server in [&server, &misnamed] {
        assert!(server.seen().is_empty(), "nothing was asked for");
    }
    connect(&server, "ca.pem").ok();
}

#[test]
fn a_server_that_sends_elsewhere_without_encryption_is_not_followed() {
    let bench = with_registry();
    let authority = Authority::new();
    let server = Server::encrypted(bench.work().join("registry"), &authority, "localhost");
    bench.write("ca.pem", authority.pem());
    let run = |arguments: &[&str]| under(&bench, "ca.pem", arguments);
    run(&["registry", "connect", "web", &server.url]).ok();
    server.set(".tar.zst", Mood::MovedToHttp);
    run(&["plugin", "install", "words"])
        .code(1)
        .tells(&["cannot reach"]);
    server.recover();
    run(&["plugin", "install", "words"]).ok();
}
