//! TCP connections to granted hosts. Every wait ends with the call's time.
#![allow(
    unreachable_pub,
    reason = "the generated bindings re-export the types of resources"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use codex_plugin_api::{Error, Result};
use wasmtime::component::Resource;

use super::State;
use super::generated::{network, types};
use crate::plugins::grants::Permission;
use crate::plugins::wasm::guest::error_to;

/// Connections that one instance may hold, and bytes that one call may receive.
const MOST_CONNECTIONS: usize = 64;
const MOST_BYTES: u32 = 16 << 20;

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    to: String,
}

impl State {
    /// What is left of the call's time.
    fn remaining(&self) -> Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::failed("the call's time is over"));
        }
        Ok(left)
    }

    fn may_reach(&self, host: &str, port: u16) -> Result<()> {
        let same = |entry: &str| match entry.rsplit_once(':') {
            Some((name, number)) if number.chars().all(|c| c.is_ascii_digit()) => {
                name.eq_ignore_ascii_case(host) && number == port.to_string()
            }
            _ => entry.eq_ignore_ascii_case(host),
        };
        if self.granted.network.iter().any(|entry| same(entry)) {
            return Ok(());
        }
        match self.asked.network.iter().find(|entry| same(&entry.host)) {
            Some(entry) => Err(self.denied(
                &format!("connect to {host}:{port}"),
                &Permission::Network(entry.host.clone()),
            )),
            None => Err(self.not_asked(&format!("a connection to {host}:{port}"))),
        }
    }

    fn connect(&self, host: &str, port: u16) -> Result<Connection> {
        self.may_reach(host, port)?;
        let to = format!("{host}:{port}");
        let failed =
            |error: &std::io::Error| Error::failed(format!("cannot connect to {to}: {error}"));
        let addresses = (host, port)
            .to_socket_addrs()
            .map_err(|error| failed(&error))?;
        let mut last = Error::failed(format!("{to} has no address"));
        for address in addresses {
            match TcpStream::connect_timeout(&address, self.remaining()?) {
                Ok(stream) => return Ok(Connection { stream, to }),
                Err(error) => last = failed(&error),
            }
        }
        Err(last)
    }
}

fn timed_out(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl network::Host for State {
    fn connect(
        &mut self,
        host: String,
        port: u16,
    ) -> wasmtime::Result<std::result::Result<Resource<Connection>, types::Error>> {
        self.connections += 1;
        if self.connections > MOST_CONNECTIONS {
            self.connections -= 1;
            let error = Error::failed(format!("more than {MOST_CONNECTIONS} connections at once"));
            return Ok(Err(error_to(&error)));
        }
        match State::connect(self, &host, port) {
            Ok(connection) => Ok(Ok(self.table.push(connection)?)),
            Err(error) => {
                self.connections -= 1;
                Ok(Err(error_to(&error)))
            }
        }
    }
}

impl network::HostConnection for State {
    fn send(
        &mut self,
        connection: Resource<Connection>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<std::result::Result<(), types::Error>> {
        let remaining = self.remaining();
        let connection = self.table.get_mut(&connection)?;
        let result = remaining.and_then(|remaining| {
            let failed = |error: std::io::Error| {
                Error::failed(format!("cannot send to {}: {error}", connection.to))
            };
            connection
                .stream
                .set_write_timeout(Some(remaining))
                .map_err(failed)?;
            connection.stream.write_all(&bytes).map_err(failed)
        });
        Ok(result.map_err(|error| error_to(&error)))
    }

    fn receive(
        &mut self,
        connection: Resource<Connection>,
        length: u32,
    ) -> wasmtime::Result<std::result::Result<Vec<u8>, types::Error>> {
        let remaining = self.remaining();
        let connection = self.table.get_mut(&connection)?;
        let result = remaining.and_then(|remaining| {
            let failed = |error: std::io::Error| {
                if timed_out(&error) {
                    return Error::failed(format!(
                        "{} sent nothing in the call's time",
                        connection.to
                    ));
                }
                Error::failed(format!("cannot receive from {}: {error}", connection.to))
            };
            let mut bytes = vec![0; length.min(MOST_BYTES) as usize];
            connection
                .stream
                .set_read_timeout(Some(remaining))
                .map_err(failed)?;
            let count = connection.stream.read(&mut bytes).map_err(failed)?;
            bytes.truncate(count);
            Ok(bytes)
        });
        Ok(result.map_err(|error| error_to(&error)))
    }

    fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        self.connections = self.connections.saturating_sub(1);
        Ok(())
    }
}
