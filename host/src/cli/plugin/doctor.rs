//! `codex-ml plugin doctor`: every candidate through every gate, loading included, each in a process of its own.

use codex_plugin_api::{Error, Result};

use crate::app::App;
use crate::exit::Exit;
use crate::plugins::Refusal;
use crate::plugins::probe::probe;
use crate::plugins::trust::may_run;

pub(super) fn run(app: &App) -> Result<Exit> {
    let registry = app.registry()?;
    let mut refused: Vec<Refusal> = registry
        .refused()
        .iter()
        .map(|stopped| stopped.refusal.clone())
        .collect();
    let bar = app.output.bar(
        registry.plugins().len() as u64,
        "trying {msg} {bar:30} {pos}/{len}",
    );
    let mut well = 0_usize;
    for plugin in registry.plugins() {
        if app.interrupt.requested() {
            return Err(Error::interrupted());
        }
        bar.set_message(plugin.id().to_owned());
        // To try it is to run it, so who may not run is not tried.
        let tried = may_run(plugin, &app.folders).and_then(|()| probe(&plugin.library).map(drop));
        match tried {
            Ok(()) => well += 1,
            Err(refusal) => refused.push(Refusal {
                path: plugin.path.clone(),
                ..refusal
            }),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if app.output.verbosity() == 0 {
        for refusal in &mut refused {
            refusal.causes.clear();
        }
    }
    if app.output.is_json() {
        app.output.value(&refused)?;
    } else {
        for refusal in &refused {
            app.output.line(format!(
                "{}\n  step:   {}\n  reason: {}\n  hint:   {}",
                refusal.path.display(),
                refusal.step,
                refusal.reason,
                refusal.hint
            ))?;
            refusal
                .causes
                .iter()
                .try_for_each(|cause| app.output.line(format!("  because: {cause}")))?;
        }
        for plugin in registry.shadowed() {
            app.output.note(format!(
                "{} is shadowed: an earlier plugin has the id {}",
                plugin.path.display(),
                plugin.id()
            ));
        }
        app.output.note(format!(
            "{well} plugins are well, {} refused",
            refused.len()
        ));
    }
    Ok(if refused.is_empty() {
        Exit::Done
    } else {
        Exit::Plugin
    })
}
