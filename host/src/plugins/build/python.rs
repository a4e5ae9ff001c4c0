//! Guests in Python: `componentize-py` puts the module, its imports and the interpreter into a component.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use codex_plugin_api::{Context, Error, Result};

use super::{Job, World, file_names, tools};

/// The environment that has the tools, where they are not on the search path.
const ENVIRONMENT: &str = "CODEX_ML_PYTHON_ENVIRONMENT";
const INSTALL: &str = "pip install \"componentize-py==0.25.*\", or name the folder of an environment that has it in \
                       CODEX_ML_PYTHON_ENVIRONMENT";

/// Builds the module `app` or the one named after the plugin; gives the component.
pub(super) fn build(job: &Job<'_>) -> Result<Vec<u8>> {
    let module = module(&file_names(job.folder)?, &job.manifest.plugin.id)?;
    let mut command = componentize()?;
    let world = World::narrow(job.kinds, &job.manifest.permissions);
    let (wit, component) = (job.scratch.join("wit"), job.scratch.join("component.wasm"));
    world.write(&wit)?;
    job.app.output.note(format!(
        "building {} with {}",
        job.manifest.plugin.id,
        command.get_program().display()
    ));
    command
        .arg("-q")
        .arg("-d")
        .arg(&wit)
        .args(["-w", &world.name, "componentize", &module, "-o"])
        .arg(&component)
        .arg("-p")
        .arg(job.folder)
        .current_dir(job.scratch)
        // What lies beside the sources afterwards should be the plugin alone.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // The tool's own call stack would push the module's error off the last lines.
        .env("RUST_BACKTRACE", "0");
    let hint = "the module is imported while it is built: mend what its last lines name; an interface of the host that \
                cannot be imported needs its permission in plugin.toml";
    tools::run(&mut command, hint, job.app)?;
    fs::read(&component).or_error(|| Error::failed(format!("cannot read {}", component.display())))
}

/// The module that holds the plugin's classes.
fn module(names: &[String], id: &str) -> Result<String> {
    let modules: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".py"))
        .collect();
    let usual = ["app".to_owned(), id.replace('-', "_")];
    if let Some(name) = usual.iter().find(|name| modules.contains(&name.as_str())) {
        return Ok(name.clone());
    }
    match modules.as_slice() {
        [only] => Ok((*only).to_owned()),
        several => Err(Error::config(format!(
            "it is not clear which module is the plugin: {}",
            several.join(", ")
        ))
        .hint(format!("call it app.py or {}.py", usual[1]))),
    }
}

fn componentize() -> Result<Command> {
    let name = "componentize-py";
    let environment = environment().map(|folder| tools::program(&folder, name));
    let found = environment
        .filter(|file| file.is_file())
        .or_else(|| tools::find(name));
    if let Some(program) = found {
        return Ok(Command::new(program));
    }
    for python in interpreters() {
        let mut ask = Command::new(&python);
        if tools::ask(ask.args(["-m", "componentize_py", "--version"])).is_some() {
            let mut command = Command::new(python);
            command.args(["-m", "componentize_py"]);
            return Ok(command);
        }
    }
    Err(Error::failed("there is no componentize-py, which builds guests in Python").hint(INSTALL))
}

/// The folder with the programs of the environment that the user named.
fn environment() -> Option<PathBuf> {
    let folder = std::env::var_os(ENVIRONMENT).filter(|folder| !folder.is_empty())?;
    let programs = if cfg!(windows) { "Scripts" } else { "bin" };
    Some(PathBuf::from(folder).join(programs))
}

/// The Python interpreters in which tools may be installed.
pub(super) fn interpreters() -> impl Iterator<Item = PathBuf> {
    let named = environment().map(|folder| tools::program(&folder, "python3"));
    named
        .filter(|file| file.is_file())
        .into_iter()
        .chain(tools::find("python3"))
        .chain(tools::find("python"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_the_usual_one_or_the_only_one() {
        let check = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            module(&names, "csv-tracker")
        };
        assert_eq!(
            check(&["app.py", "csv_tracker.py", "plugin.toml"]).unwrap(),
            "app"
        );
        assert_eq!(
            check(&["csv_tracker.py", "tables.py"]).unwrap(),
            "csv_tracker"
        );
        assert_eq!(check(&["tracker.py"]).unwrap(), "tracker");
        let error = check(&["one.py", "two.py"]).unwrap_err();
        assert!(error.message().ends_with("one, two"), "{error}");
        assert_eq!(error.hint_text(), Some("call it app.py or csv_tracker.py"));
    }
}
