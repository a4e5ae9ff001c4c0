//! What is written down of a decision.

use codex_plugin_api::{Error, Result};

use super::decide::refuse;
use super::log::Event;
use super::pins::Pins;
use super::policy::same_address;
use super::{Changes, Decision, Level};

/// Writes a decision into the pins; gives what the log is to say.
pub(super) fn record(pins: &mut Pins, decision: &Decision) -> Result<Changes> {
    let Decision { name, key, .. } = decision;
    let pin = pins.plugins.entry(name.clone()).or_default();
    let mut events = Changes::new();
    let mut event = |what, detail: String| events.push((what, name.clone(), detail));
    let bound = pin
        .source
        .as_ref()
        .is_none_or(|bound| same_address(&bound.url, &decision.source.url));
    match &pin.key {
        Some(before) if before == key => {}
        None => event(
            Event::Pinned,
            format!("{key} {} {}", decision.level, decision.source.url),
        ),
        // Accepted from a key that has handed the name on since.
        Some(_) if pin.former_keys.contains(key) => {}
        Some(before) if decision.rotated_from.is_some() || pin.by_registry => {
            event(Event::Rotated, format!("{before} {key}"));
            let before = before.clone();
            pin.former_keys.push(before);
        }
        Some(_) => return Err(meanwhile(name)),
    }
    if !bound {
        return Err(meanwhile(name));
    }
    if !pin.former_keys.contains(key) {
        pin.key = Some(key.clone());
        pin.by_registry = decision.level == Level::RegistrySigned;
    }
    pin.source = Some(decision.source.clone());
    if decision.allows_native && !pin.native {
        event(Event::NativeAllowed, decision.version.to_string());
        pin.native = true;
    }
    match pin
        .accepted
        .insert(decision.version.clone(), decision.archive.clone())
    {
        None => event(
            Event::Accepted,
            format!("{} {}", decision.version, decision.archive),
        ),
        Some(before) if before != decision.archive => return Err(meanwhile(name)),
        Some(_) => {}
    }
    Ok(events)
}

fn meanwhile(name: &str) -> Error {
    refuse(
        format!("{name} was pinned otherwise by another process in the meantime"),
        "try again: it is judged by the new pin then",
    )
}
