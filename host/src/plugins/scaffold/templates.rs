//! The templates: which files a project of a kind in a language begins with, and what is said about it.
//!
//! The files themselves are in `templates/`, one folder a kind; `shared/` holds what all have. Words in double braces are
//! filled in. They are what a newcomer reads first, so each is small, whole, and does something real.

use codex_plugin_api::Kind;

use super::Form;

/// A file of a project: where it goes, and its text.
pub(super) type File = (&'static str, &'static str);

macro_rules! text {
    ($name:literal) => {
        include_str!(concat!("templates/", $name))
    };
}

pub(super) const MANIFEST: &str = text!("shared/plugin.toml");
pub(super) const README: &str = text!("shared/README.md");
pub(super) const IGNORED: &str = text!("shared/gitignore");
pub(super) const NATIVE_CARGO: &str = text!("shared/native.toml");
pub(super) const WASM_CARGO: &str = text!("shared/wasm.toml");

// What projects in C share: the language's library has neither JSON nor a formatted text that the sandbox takes.
const JSON_H: File = ("json.h", text!("shared/json.h"));
const JSON_C: File = ("json.c", text!("shared/json.c"));
const TEXT_H: File = ("text.h", text!("shared/text.h"));
const TEXT_C: File = ("text.c", text!("shared/text.c"));

/// What a kind's template is about.
pub(super) struct Subject {
    /// One line for `plugin.toml` and the README.
    pub(super) about: &'static str,
    /// What `plugin.toml` says beyond the component's name, where the plugin runs in a sandbox; a native plugin publishes
    /// the configuration of its type instead.
    pub(super) manifest: &'static str,
    /// Lines that use the installed plugin.
    pub(super) use_it: &'static str,
    /// What `plugin dev` repeats after every change; nothing where there is no command line that shows the plugin.
    pub(super) dev: &'static str,
    native: &'static [File],
    rust: &'static [File],
    python: &'static [File],
    c: &'static [File],
}

impl Subject {
    /// The sources in a language, in the order in which one reads them.
    pub(super) fn sources(&self, form: Form) -> &'static [File] {
        match form {
            Form::Native => self.native,
            Form::Rust => self.rust,
            Form::Python => self.python,
            Form::C => self.c,
        }
    }

    /// Whether the manifest's further lines are for native plugins too: a command's arguments are, a configuration is not.
    pub(super) fn manifest_for(&self, form: Form) -> &'static str {
        if form == Form::Native && self.manifest.contains("[component.config]") {
            ""
        } else {
            self.manifest
        }
    }
}

/// The template of a kind; nothing for a kind of a later version.
pub(super) fn subject(kind: Kind) -> Option<&'static Subject> {
    Some(match kind {
        Kind::Metric => &METRIC,
        Kind::Dataset => &DATASET,
        Kind::Tokenizer => &TOKENIZER,
        Kind::Model => &MODEL,
        Kind::Tracker => &TRACKER,
        Kind::Sanitizer => &SANITIZER,
        Kind::Adapter => &ADAPTER,
        Kind::Command => &COMMAND,
        _ => return None,
    })
}

static METRIC: Subject = Subject {
    about: "How often the model gives the right token little chance",
    manifest: text!("metric/config.toml"),
    use_it: "codex-ml train run.name=first training.steps=20\n\
             codex-ml evaluate --model runs/first/model --metric {{name}}",
    dev: "evaluate --model runs/first/model --metric {{name}}",
    native: &[("src/lib.rs", text!("metric/native.rs"))],
    rust: &[("src/lib.rs", text!("metric/wasm.rs"))],
    python: &[
        ("app.py", text!("metric/app.py")),
        ("rate.py", text!("metric/rate.py")),
        ("test_rate.py", text!("metric/test_rate.py")),
    ],
    c: &[
        ("plugin.c", text!("metric/plugin.c")),
        ("rate.h", text!("metric/rate.h")),
        ("rate.c", text!("metric/rate.c")),
        JSON_H,
        JSON_C,
        TEXT_H,
        TEXT_C,
        ("tests/test.c", text!("metric/test_rate.c")),
    ],
};

static DATASET: Subject = Subject {
    about: "Sums of two numbers",
    manifest: text!("dataset/config.toml"),
    use_it: "codex-ml data inspect {{name}}\n\
             codex-ml train run.name=sums data.name={{name}} tokenizer.vocab_size=300 training.steps=20",
    dev: "data inspect {{name}}",
    native: &[("src/lib.rs", text!("dataset/native.rs"))],
    rust: &[("src/lib.rs", text!("dataset/wasm.rs"))],
    python: &[
        ("app.py", text!("dataset/app.py")),
        ("sums.py", text!("dataset/sums.py")),
        ("test_sums.py", text!("dataset/test_sums.py")),
    ],
    c: &[
        ("plugin.c", text!("dataset/plugin.c")),
        ("sums.h", text!("dataset/sums.h")),
        ("sums.c", text!("dataset/sums.c")),
        JSON_H,
        JSON_C,
        TEXT_H,
        TEXT_C,
        ("tests/test.c", text!("dataset/test_sums.c")),
    ],
};

static TOKENIZER: Subject = Subject {
    about: "One token a byte, and one that ends a text",
    manifest: text!("tokenizer/config.toml"),
    use_it: "codex-ml train run.name=bytes tokenizer.name={{name}} training.steps=20",
    dev: "train tokenizer.name={{name}} training.steps=5",
    native: &[("src/lib.rs", text!("tokenizer/native.rs"))],
    rust: &[("src/lib.rs", text!("tokenizer/wasm.rs"))],
    python: &[
        ("app.py", text!("tokenizer/app.py")),
        ("byte_level.py", text!("tokenizer/byte_level.py")),
        ("test_byte_level.py", text!("tokenizer/test_byte_level.py")),
    ],
    c: &[
        ("plugin.c", text!("tokenizer/plugin.c")),
        ("byte_level.h", text!("tokenizer/byte_level.h")),
        ("byte_level.c", text!("tokenizer/byte_level.c")),
        JSON_H,
        JSON_C,
        TEXT_H,
        TEXT_C,
        ("tests/test.c", text!("tokenizer/test_byte_level.c")),
    ],
};

static MODEL: Subject = Subject {
    about: "A bigram model that trains, scores and generates",
    manifest: text!("model/config.toml"),
    use_it: "codex-ml train run.name=bigram model.name={{name}} training.epochs=1\n\
             codex-ml generate --model runs/bigram/model --prompt \"The \"",
    dev: "train model.name={{name}} training.steps=20",
    native: &[
        ("src/lib.rs", text!("model/native.rs")),
        ("src/bigram.rs", text!("model/bigram.rs")),
    ],
    rust: &[
        ("src/lib.rs", text!("model/wasm.rs")),
        ("src/bigram.rs", text!("model/bigram.rs")),
    ],
    python: &[
        ("app.py", text!("model/app.py")),
        ("bigram.py", text!("model/bigram.py")),
        ("test_bigram.py", text!("model/test_bigram.py")),
    ],
    c: &[
        ("plugin.c", text!("model/plugin.c")),
        ("bigram.h", text!("model/bigram.h")),
        ("bigram.c", text!("model/bigram.c")),
        ("batch.h", text!("model/batch.h")),
        ("batch.c", text!("model/batch.c")),
        ("settings.h", text!("model/settings.h")),
        ("settings.c", text!("model/settings.c")),
        JSON_H,
        JSON_C,
        TEXT_H,
        TEXT_C,
        ("tests/test.c", text!("model/test_bigram.c")),
    ],
};

static TRACKER: Subject = Subject {
    about: "Warns when the loss has not fallen for some evaluations",
    manifest: text!("tracker/config.toml"),
    use_it: "codex-ml train run.name=watched trackers=[{{name}}] training.steps=20 training.evaluate_every=5",
    dev: "train trackers=[{{name}}] training.steps=20 training.evaluate_every=5",
    native: &[("src/lib.rs", text!("tracker/native.rs"))],
    rust: &[("src/lib.rs", text!("tracker/wasm.rs"))],
    python: &[
        ("app.py", text!("tracker/app.py")),
        ("watch.py", text!("tracker/watch.py")),
        ("test_watch.py", text!("tracker/test_watch.py")),
    ],
    c: &[
        ("plugin.c", text!("tracker/plugin.c")),
        ("watch.h", text!("tracker/watch.h")),
        ("watch.c", text!("tracker/watch.c")),
        JSON_H,
        JSON_C,
        TEXT_H,
        TEXT_C,
        ("tests/test.c", text!("tracker/test_watch.c")),
    ],
};

static SANITIZER: Subject = Subject {
    about: "Finds long numbers, as accounts and cards have",
    manifest: text!("sanitizer/config.toml"),
    use_it: "codex-ml plugin test {{name}} --config '{\"shortest\": 6}'",
    dev: "",
    native: &[("src/lib.rs", text!("sanitizer/native.rs"))],
    rust: &[("src/lib.rs", text!("sanitizer/wasm.rs"))],
    python: &[
        ("app.py", text!("sanitizer/app.py")),
        ("long_numbers.py", text!("sanitizer/long_numbers.py")),
        (
            "test_long_numbers.py",
            text!("sanitizer/test_long_numbers.py"),
        ),
    ],
    c: &[
        ("plugin.c", text!("sanitizer/plugin.c")),
        ("long_numbers.h", text!("sanitizer/long_numbers.h")),
        ("long_numbers.c", text!("sanitizer/long_numbers.c")),
        JSON_H,
        JSON_C,
        TEXT_H,
        TEXT_C,
        ("tests/test.c", text!("sanitizer/test_long_numbers.c")),
    ],
};

static ADAPTER: Subject = Subject {
    about: "LoRA on queries and values",
    manifest: text!("adapter/config.toml"),
    use_it: "codex-ml plugin test {{name}} --config '{\"rank\": 4}'",
    dev: "",
    native: &[("src/lib.rs", text!("adapter/native.rs"))],
    rust: &[("src/lib.rs", text!("adapter/wasm.rs"))],
    python: &[
        ("app.py", text!("adapter/app.py")),
        ("targets.py", text!("adapter/targets.py")),
        ("test_targets.py", text!("adapter/test_targets.py")),
    ],
    c: &[
        ("plugin.c", text!("adapter/plugin.c")),
        ("targets.h", text!("adapter/targets.h")),
        ("targets.c", text!("adapter/targets.c")),
        JSON_H,
        JSON_C,
        TEXT_H,
        TEXT_C,
        ("tests/test.c", text!("adapter/test_targets.c")),
    ],
};

static COMMAND: Subject = Subject {
    about: "The most frequent words of a file",
    manifest: text!("command/config.toml"),
    use_it: "codex-ml {{name}} README.md --top 3",
    dev: "{{name}} README.md --top 3",
    native: &[("src/lib.rs", text!("command/native.rs"))],
    rust: &[("src/lib.rs", text!("command/wasm.rs"))],
    python: &[
        ("app.py", text!("command/app.py")),
        ("words.py", text!("command/words.py")),
        ("test_words.py", text!("command/test_words.py")),
    ],
    c: &[
        ("plugin.c", text!("command/plugin.c")),
        ("words.h", text!("command/words.h")),
        ("words.c", text!("command/words.c")),
        JSON_H,
        JSON_C,
        TEXT_H,
        TEXT_C,
        ("tests/test.c", text!("command/test_words.c")),
    ],
};
