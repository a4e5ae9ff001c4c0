//! What every command promises.

use std::sync::Arc;

use serde_json::Value;

use super::host::RecordingHost;
use super::report::{Report, ensure};
use crate::{Arguments, Command, Error, ErrorKind, HostRef, NoHost, Result};

/// Checks what `create` creates by running it with `arguments` (an object).
pub fn command(create: &mut dyn FnMut() -> Result<Box<dyn Command>>, arguments: &Value) -> Report {
    let mut report = Report::default();
    let arguments = || {
        let map = arguments.as_object().cloned();
        map.map(Arguments)
            .ok_or_else(|| Error::failed("the arguments of the check are no object"))
    };
    let run = |command: &mut dyn Command| -> Result<(i32, String)> {
        let host = Arc::new(RecordingHost::default());
        let held: HostRef = Arc::clone(&host) as HostRef;
        let code = command.run(&arguments()?, &held)?;
        Ok((code, host.output()))
    };
    report.check("it runs", || {
        let (code, _) = run(&mut *create()?)?;
        ensure((0..=255).contains(&code), || {
            format!("the exit code is {code}")
        })
    });
    report.check("two runs with the same arguments agree", || {
        let (first, second) = (run(&mut *create()?)?, run(&mut *create()?)?);
        ensure(first == second, || {
            format!("first {first:?}, then {second:?}")
        })
    });
    report.check("an interruption is no failure", || {
        let host = Arc::new(RecordingHost::default());
        host.interrupt();
        let held: HostRef = host;
        match create()?.run(&arguments()?, &held) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            other => other.map(drop),
        }
    });
    report.check("a host that offers nothing is no panic", || {
        match create()?.run(&arguments()?, &NoHost::shared()) {
            Err(error) if error.kind() == ErrorKind::Panic => Err(error),
            _ => Ok(()),
        }
    });
    report
}
