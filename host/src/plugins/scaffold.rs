//! A new plugin's project: from a name, a kind and a language to a folder that builds, passes the checks of its kind and
//! does something real. [`templates`] holds the files; here they are filled in and written, all of them or none.

mod api;
mod name;
mod templates;

use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Kind, Result};

use super::build::wit;
use super::discover::Catalog;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// The plugin's id, and the name of its component.
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    pub(crate) form: Form,
    /// The folder to make; it must not be there.
    pub(crate) folder: &'a Path,
    /// Where a native plugin finds the crate `codex-plugin-api`: a folder or a git URL; looked for where none is given.
    pub(crate) api: Option<&'a str>,
}

/// In which language a plugin is written, and what runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A library in Rust that the host opens.
    Native,
    /// A component in Rust.
    Rust,
    /// A component in C.
    C,
    /// A component in Python.
    Python,
}

impl Form {
    /// As the README says it.
    fn language(self) -> &'static str {
        match self {
            Self::Native => "Rust (native)",
            Self::Rust => "Rust",
            Self::C => "C",
            Self::Python => "Python",
        }
    }

    /// What runs the unit test of these sources.
    fn unit_test(self, sources: &[templates::File]) -> String {
        match self {
            Self::Native | Self::Rust => "cargo test".to_owned(),
            Self::C => {
                // What crosses the border needs the sandbox; the rest is plain C.
                let plain = sources.iter().map(|(name, _)| *name);
                let plain: Vec<&str> = plain
                    .filter(|name| {
                        let is_c = Path::new(name).extension().is_some_and(|end| end == "c");
                        is_c && *name != "plugin.c"
                    })
                    .collect();
                format!("cc -o unit-test {} -lm && ./unit-test", plain.join(" "))
            }
            Self::Python => "python3 -m unittest".to_owned(),
        }
    }
}

/// A project that was made.
#[derive(Debug)]
pub(crate) struct Scaffolded {
    pub(crate) folder: PathBuf,
    /// Its files, relative to the folder, in the order in which one reads them.
    pub(crate) files: Vec<String>,
    /// What `plugin test` needs beside the folder.
    pub(crate) test_options: &'static str,
    /// Lines that use the plugin once it is installed.
    pub(crate) use_it: String,
}

/// Makes a project.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] for a name that is no name, or taken, for a folder that is there already, and for
/// a kind that has no template; [`codex_plugin_api::ErrorKind::Failed`] when it cannot be written. Nothing is left behind then.
pub(crate) fn scaffold(request: Request<'_>, catalog: &Catalog) -> Result<Scaffolded> {
    let Request {
        name, kind, form, ..
    } = request;
    name::check(name, kind, form, catalog)?;
    let subject = templates::subject(kind).ok_or_else(|| {
        let message = format!("there is no template for a plugin of the kind {kind}");
        Error::config(message).hint("codex-ml plugin new --help names the kinds")
    })?;
    if request.folder.symlink_metadata().is_ok() {
        let message = format!("{} is there already", request.folder.display());
        return Err(Error::config(message)
            .hint("give another name, another folder with --output, or remove that one"));
    }
    let filled = Filled::new(request, subject)?;
    let files = filled.files(subject);
    write(request.folder, &files, form == Form::Rust)?;
    Ok(Scaffolded {
        folder: request.folder.to_owned(),
        files: files.into_iter().map(|(name, _)| name).collect(),
        test_options: filled.test_options(),
        use_it: filled.fill(subject.use_it),
    })
}

/// The words that stand for what is in double braces.
struct Filled<'a> {
    request: Request<'a>,
    words: Vec<(&'static str, String)>,
}

impl<'a> Filled<'a> {
    fn new(request: Request<'a>, subject: &templates::Subject) -> Result<Self> {
        let api = match request.form {
            Form::Native => api::dependency(request.api, request.folder)?,
            _ => String::new(),
        };
        let name = request.name;
        let words = vec![
            ("name", name.to_owned()),
            ("snake", name.replace('-', "_")),
            ("Type", name::type_name(name)),
            ("kind", request.kind.to_string()),
            ("about", subject.about.to_owned()),
            ("language", request.form.language().to_owned()),
            (
                "unit",
                request.form.unit_test(subject.sources(request.form)),
            ),
            ("api", api),
        ];
        Ok(Self { request, words })
    }

    /// Whether the plugin asks for something that its user must grant.
    fn asks(&self) -> bool {
        self.request.form != Form::Native && self.request.kind == Kind::Command
    }

    fn test_options(&self) -> &'static str {
        if self.asks() { " --grant" } else { "" }
    }

    fn fill(&self, text: &str) -> String {
        self.words
            .iter()
            .fold(text.to_owned(), |text, (word, value)| {
                text.replace(&format!("{{{{{word}}}}}"), value)
            })
    }

    /// Every file with its text, in the order in which one reads them.
    fn files(&self, subject: &templates::Subject) -> Vec<(String, String)> {
        let form = self.request.form;
        let manifest = format!("{}{}", templates::MANIFEST, subject.manifest_for(form));
        let mut files = vec![
            ("README.md".to_owned(), self.readme(subject)),
            ("plugin.toml".to_owned(), self.fill(&manifest)),
        ];
        let cargo = match form {
            Form::Native => Some(templates::NATIVE_CARGO),
            Form::Rust => Some(templates::WASM_CARGO),
            Form::C | Form::Python => None,
        };
        files.extend(cargo.map(|text| ("Cargo.toml".to_owned(), self.fill(text))));
        let sources = subject.sources(form).iter();
        files.extend(sources.map(|(name, text)| ((*name).to_owned(), self.fill(text))));
        let mut ignored = templates::IGNORED.to_owned();
        if form == Form::C {
            ignored.push_str("/unit-test\n");
        }
        files.push((".gitignore".to_owned(), ignored));
        files
    }

    fn readme(&self, subject: &templates::Subject) -> String {
        let grant = if self.asks() {
            format!("codex-ml plugin grant {} --all\n", self.request.name)
        } else {
            String::new()
        };
        let dev = match subject.dev {
            "" => String::new(),
            line => format!(" -- {}", self.fill(line)),
        };
        let text = templates::README
            .replace("{{use}}", &format!("{grant}{}", subject.use_it))
            .replace("{{grant}}", self.test_options())
            .replace(" -- {{dev}}", &dev)
            .replace("{{files}}", self.about_files());
        self.fill(&text)
    }

    fn about_files(&self) -> &'static str {
        match self.request.form {
            Form::Native => {
                "The plugin is `src/lib.rs`; `plugin.toml` says what it is. It is native code: it runs with the whole authority of its \
                 user."
            }
            Form::Rust => {
                "The plugin is `src/lib.rs`; `plugin.toml` says what it is, and `wit/` is the interface that it is built against \
                 (`codex-ml plugin wit` writes it anew)."
            }
            Form::C => {
                "What crosses the border is `plugin.c`; the other files know nothing of it. `plugin.toml` says what the plugin is."
            }
            Form::Python => {
                "What crosses the border is `app.py`; the other modules know nothing of it. `plugin.toml` says what the plugin is."
            }
        }
    }
}

/// Writes all files into a hidden folder beside the new one, and moves it there in one step.
fn write(folder: &Path, files: &[(String, String)], with_wit: bool) -> Result<()> {
    let failed = || {
        Error::failed(format!("cannot make the folder {}", folder.display()))
            .hint("give a folder that you may write to with --output")
    };
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let staged = tempfile::Builder::new()
        .prefix(".codex-ml-new-")
        .tempdir_in(parent)
        .or_error(failed)?;
    let project = staged.path().join("project");
    fs::create_dir(&project).or_error(failed)?;
    for (name, text) in files {
        let file = project.join(name);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).or_error(failed)?;
        }
        fs::write(&file, text).or_error(failed)?;
    }
    if with_wit {
        wit::write(&project.join("wit"))?;
    }
    fs::rename(&project, folder).or_error(failed)
}

#[cfg(test)]
mod tests;
