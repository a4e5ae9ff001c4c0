//! `codex-ml plugin verify`.

use codex_plugin_api::Result;

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::trust::{locks, open};

pub(super) fn run(app: &App) -> Result<Exit> {
    let trust = open(app.folders.data()?)?;
    let checked = trust.verify(&locks(&app.folders)?)?;
    if app.output.is_json() {
        app.output.value(&checked)?;
    } else {
        for fault in &checked.faults {
            app.output.line(plain(&format!(
                "{}\n  path:   {}\n  reason: {}\n  hint:   {}",
                fault.subject,
                fault.path.display(),
                fault.reason,
                fault.hint
            )))?;
        }
        app.output.note(format!(
            "{} plugins of registries, {} from paths and {} lines of the log were checked: {}",
            checked.plugins.len(),
            trust.pins().local.len(),
            checked.log,
            match checked.faults.len() {
                0 => "all is as it was signed and accepted".to_owned(),
                1 => "1 fault".to_owned(),
                count => format!("{count} faults"),
            }
        ));
    }
    Ok(if checked.faults.is_empty() {
        Exit::Done
    } else {
        Exit::Plugin
    })
}
