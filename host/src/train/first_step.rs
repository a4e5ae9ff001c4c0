//! The check after a process's first backward pass: every trainable parameter received a finite gradient.
//!
//! Some engines drop gradients silently: training runs, the loss even falls, and parts of the model never learn.

use std::collections::HashMap;
use std::fmt::Write as _;

use codex_plugin_api::{Error, ErrorKind, Model, Result};

/// How many names an error lists.
const NAMED: usize = 8;

/// Compares the model's gradients with its trainable parameters. A model that cannot tell is left alone.
///
/// # Errors
/// [`ErrorKind::Plugin`] naming the parameters without a gradient, `Failed` naming those whose gradient is not finite.
pub(super) fn check(model: &mut dyn Model, step: u64, batch: &str) -> Result<()> {
    let gradients = match model.gradients() {
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
        gradients => gradients?,
    };
    let by_name: HashMap<&str, _> = gradients
        .iter()
        .map(|gradient| (gradient.name.as_str(), gradient))
        .collect();
    let (mut trainable, mut without, mut not_finite) = (0, Vec::new(), Vec::new());
    for parameter in model.parameters()? {
        if !parameter.trainable {
            continue;
        }
        trainable += 1;
        match by_name.get(parameter.name.as_str()) {
            Some(gradient) if !gradient.received => without.push(parameter.name),
            Some(gradient) if !gradient.norm.is_finite() => not_finite.push(parameter.name),
            Some(_) => {}
            None => without.push(parameter.name),
        }
    }
    if trainable == 0 {
        return Err(Error::config("no parameter of the model trains")
            .hint("training.freeze covers all of them: leave some out"));
    }
    if !without.is_empty() {
        return Err(Error::new(
            ErrorKind::Plugin,
            format!(
                "{} of {trainable} trainable parameters received no gradient at step {step}: {}",
                without.len(),
                names(&without)
            ),
        )
        .hint("the model's backward pass leaves them out; freeze them with training.freeze if that is meant"));
    }
    if !not_finite.is_empty() {
        return Err(Error::failed(format!(
            "the gradients of {} of {trainable} trainable parameters are not finite at step {step} ({batch}): {}",
            not_finite.len(),
            names(&not_finite)
        ))
        .hint("the weights or the data hold extreme values; were the weights loaded from a broken file?"));
    }
    Ok(())
}

fn names(all: &[String]) -> String {
    let mut text = all[..all.len().min(NAMED)].join(", ");
    if all.len() > NAMED {
        // Writing to a String cannot fail.
        let _ = write!(text, " and {} more", all.len() - NAMED);
    }
    text
}
