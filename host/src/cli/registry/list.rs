//! `codex-ml registry list`.

use codex_packages::client::Known;
use codex_packages::keys::key_id;
use codex_plugin_api::Result;
use serde_json::json;

use super::connected;
use crate::app::App;
use crate::exit::Exit;

pub(super) fn run(app: &App) -> Result<Exit> {
    let data = app.folders.data()?;
    let mut rows = Vec::new();
    for (scope, connection) in connected(app)? {
        let known = Known::read(data, &connection.address)?;
        let key = known
            .as_ref()
            .map(|known| known.key.clone())
            .or_else(|| connection.key.clone());
        let id = key.as_deref().map(key_id).transpose()?;
        rows.push((connection, scope, id, known));
    }
    if app.output.is_json() {
        let rows: Vec<_> = rows
            .iter()
            .map(|(connection, scope, id, known)| {
                json!({
                    "name": connection.name, "url": connection.address.url(), "scope": scope.kind, "key": id,
                    "snapshot": known.as_ref().map(|known| known.snapshot), "pinned": known.as_ref().map(|known| &known.pinned),
                })
            })
            .collect();
        app.output.value(&rows)?;
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        app.output
            .note("no registry is connected; codex-ml registry connect NAME ADDRESS");
        return Ok(Exit::Done);
    }
    app.output.table(
        ["name", "address", "named by", "root key", "snapshot"],
        rows.into_iter().map(|(connection, scope, id, known)| {
            [
                connection.name.clone(),
                connection.address.url(),
                scope.kind.as_str().to_owned(),
                id.unwrap_or_else(|| "not seen yet".to_owned()),
                known.map_or_else(String::new, |known| known.snapshot.to_string()),
            ]
        }),
    )?;
    Ok(Exit::Done)
}
