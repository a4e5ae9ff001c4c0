//! Guests in C: bindings for the world by wit-bindgen, then clang or Zig's compiler for `wasm32-wasi` without any of
//! WASI's functions.
//!
//! The bindings are called after the world: a metric includes `metric_plugin.h`, a plugin of several kinds
//! `this_plugin.h`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use codex_plugin_api::{Context, Error, Kind, Result};
use wit_bindgen_core::Files;
use wit_parser::Resolve;

use super::{Job, World, file_names, tools};

const INSTALL: &str = "install clang with the C library of WASI (on Debian and Ubuntu: apt-get install clang lld wasi-libc), \
                       name the folder of a WASI SDK in WASI_SDK_PATH, or pip install ziglang";

/// Builds all C files of the folder; gives the core module.
pub(super) fn build(job: &Job<'_>) -> Result<Vec<u8>> {
    let compiler = Compiler::find()?;
    let world = World::of(job.kinds);
    let bindings = job.scratch.join("bindings");
    bind(&world, &job.scratch.join("wit"), &bindings)?;
    let name = world.name.replace('-', "_");
    job.app.output.note(format!(
        "building {} with {} and the bindings {name}.h",
        job.manifest.plugin.id, compiler.says
    ));
    let sources: Vec<PathBuf> = file_names(job.folder)?
        .iter()
        .filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "c")
        })
        .map(|name| job.folder.join(name))
        .collect();
    let module = job.scratch.join("module.wasm");
    let mut command = compiler.command();
    command
        .args(["--target=wasm32-wasi", "-O2", "-mexec-model=reactor"])
        .args(["-ffunction-sections", "-fdata-sections"])
        // The C library's own debugging information would be the greater part of the file.
        .arg("-Wl,--strip-debug")
        .arg("-I")
        .arg(&bindings)
        .arg("-I")
        .arg(job.folder)
        .args(&sources)
        .arg(bindings.join(format!("{name}.c")))
        .arg(bindings.join(format!("{name}_component_type.o")))
        .args(&compiler.options)
        .arg("-o")
        .arg(&module)
        .current_dir(job.folder);
    let hint = format!(
        "mend what the compiler names; codex-ml plugin wit --c {} writes {name}.h out to be read",
        job.kinds
            .iter()
            .map(|kind| kind.as_str())
            .collect::<Vec<_>>()
            .join(",")
    );
    tools::run(&mut command, &hint, job.app)?;
    fs::read(&module).or_error(|| Error::failed(format!("cannot read {}", module.display())))
}

/// Writes the bindings for plugins of these kinds into a folder, for an author to read; gives the header's name.
pub(crate) fn write_bindings(kinds: &[Kind], folder: &Path) -> Result<String> {
    let scratch =
        tempfile::tempdir().or_error(|| Error::failed("cannot create a temporary folder"))?;
    let world = World::of(kinds);
    bind(&world, scratch.path(), folder)?;
    Ok(format!("{}.h", world.name.replace('-', "_")))
}

/// Writes the bindings for a world into a folder: a header, its code and an object with the world's types.
fn bind(world: &World, wit: &Path, bindings: &Path) -> Result<()> {
    world.write(wit)?;
    let failed = |error: &dyn std::fmt::Display| {
        Error::failed(format!("no C bindings can be made: {error}"))
            .hint("report it: the interface is codex-ml's own")
    };
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(wit)
        .map_err(|error| failed(&format!("{error:#}")))?;
    let id = resolve
        .select_world(&[package], Some(&world.name))
        .map_err(|error| failed(&format!("{error:#}")))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default()
        .build()
        .generate(&mut resolve, id, &mut files)
        .map_err(|error| failed(&format!("{error:#}")))?;
    let not_written = || Error::failed(format!("cannot write into {}", bindings.display()));
    fs::create_dir_all(bindings).or_error(not_written)?;
    for (name, content) in files.iter() {
        fs::write(bindings.join(name), content).or_error(not_written)?;
    }
    Ok(())
}

/// A C compiler that has the C library of WASI.
#[derive(Debug)]
struct Compiler {
    program: PathBuf,
    /// The words before its options.
    words: &'static [&'static str],
    options: Vec<&'static str>,
    says: String,
}

impl Compiler {
    fn find() -> Result<Self> {
        let sdk = std::env::var_os("WASI_SDK_PATH")
            .map(|folder| tools::program(&PathBuf::from(folder).join("bin"), "clang"))
            .filter(|clang| clang.is_file());
        if let Some(compiler) = sdk
            .into_iter()
            .chain(tools::find("clang"))
            .find_map(Self::clang)
        {
            return Ok(compiler);
        }
        if let Some(program) = tools::find("zig") {
            return Ok(Self::zig(program, &["cc"], "zig cc"));
        }
        for python in super::python::interpreters() {
            let mut ask = Command::new(&python);
            if tools::ask(ask.args(["-m", "ziglang", "version"])).is_some() {
                return Ok(Self::zig(python, &["-m", "ziglang", "cc"], "ziglang"));
            }
        }
        Err(Error::failed("there is no C compiler for WebAssembly").hint(INSTALL))
    }

    /// Clang, where it has a linker and the C library.
    fn clang(program: PathBuf) -> Option<Self> {
        // It answers with the path of a file that it has, and with the bare name of one that it has not.
        let has = |option: &str| {
            let mut ask = Command::new(&program);
            let answer = tools::ask(ask.args(["--target=wasm32-wasi", option]))?;
            let path = PathBuf::from(answer);
            (path.is_absolute() && path.is_file()).then_some(path)
        };
        has("-print-file-name=crt1-reactor.o")?;
        has("-print-prog-name=wasm-ld")?;
        // The compiler's own library is a package of its own, and only 128-bit numbers need it.
        let options = match has("-print-libgcc-file-name") {
            Some(_) => Vec::new(),
            None => vec!["-nodefaultlibs", "-lc"],
        };
        let says = program.display().to_string();
        Some(Self {
            program,
            words: &[],
            options,
            says,
        })
    }

    fn zig(program: PathBuf, words: &'static [&'static str], says: &str) -> Self {
        Self {
            program,
            words,
            options: Vec::new(),
            says: says.to_owned(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.words);
        command
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn bindings_are_called_after_the_world() {
        for (kinds, name, function) in [
            (
                &[Kind::Metric][..],
                "metric_plugin",
                "exports_codex_plugin_metric_compute",
            ),
            (
                &[Kind::Dataset, Kind::Command],
                "this_plugin",
                "exports_codex_plugin_command_run",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let bindings = folder.path().join("bindings");
            bind(&World::of(kinds), &folder.path().join("wit"), &bindings).unwrap();
            let header = fs::read_to_string(bindings.join(format!("{name}.h"))).unwrap();
            assert!(header.contains(function), "{header}");
            for end in [".c", "_component_type.o"] {
                assert!(
                    bindings.join(format!("{name}{end}")).is_file(),
                    "{name}{end}"
                );
            }
        }
    }
}
