//! The one engine: its settings, the clock that ends calls, and compiled code that is kept on disk.
#![allow(
    unsafe_code,
    reason = "loading compiled code is a promise that nobody else wrote the file"
)]

use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

/// How often the clock ticks: calls end at most this much after their limit.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Stack of a guest; a thread of the host has at least twice as much.
const STACK: usize = 1 << 20;

static ENGINE: OnceLock<Engine> = OnceLock::new();

/// The engine, made on first use.
pub(super) fn engine() -> wasmtime::Result<&'static Engine> {
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK);
    let engine = Engine::new(&config)?;
    let first = ENGINE.set(engine).is_ok();
    let engine = ENGINE
        .get()
        .ok_or_else(|| wasmtime::Error::msg("no engine"))?;
    if first {
        let ticking = engine.weak();
        thread::Builder::new()
            .name("wasm-clock".into())
            .spawn(move || {
                let (begun, mut told) = (Instant::now(), 0);
                loop {
                    thread::sleep(TICK);
                    let Some(engine) = ticking.upgrade() else {
                        return;
                    };
                    // A sleep is longer than asked for, and over a minute that is seconds: the clock says how many.
                    let passed = begun.elapsed().as_nanos() / TICK.as_nanos();
                    while told < passed {
                        engine.increment_epoch();
                        told += 1;
                    }
                }
            })?;
    }
    Ok(engine)
}

/// Ticks after which a call that may take `time` is stopped.
pub(super) fn ticks(time: Duration) -> u64 {
    let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
    // The engine adds what has ticked so far.
    u64::try_from(ticks).unwrap_or(u64::MAX).min(u64::MAX / 2) + 1
}

/// Compiles a component, or takes it from the cache, where it is kept by its content and this engine's settings.
pub(super) fn compile(bytes: &[u8], cache: Option<&Path>) -> wasmtime::Result<Component> {
    let engine = engine()?;
    let Some(file) = cache.and_then(|cache| kept(cache, engine, bytes)) else {
        return Component::new(engine, bytes);
    };
    if let Some(folder) = file.parent()
        && ours(folder)
        && ours(&file)
    {
        // SAFETY: the file and its folder belong to this user and nobody else may write to them; the name says which
        // content and which engine it was made from. A file that does not fit is refused by its header.
        if let Ok(component) = unsafe { Component::deserialize_file(engine, &file) } {
            return Ok(component);
        }
    }
    let component = Component::new(engine, bytes)?;
    // A cache that cannot be written costs time, nothing else.
    let _ = keep(&file, &component);
    Ok(component)
}

fn kept(cache: &Path, engine: &Engine, bytes: &[u8]) -> Option<PathBuf> {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let mut name = String::with_capacity(90);
    for byte in Sha256::digest(bytes) {
        write!(name, "{byte:02x}").ok()?;
    }
    write!(name, "-{:016x}.cwasm", hasher.finish()).ok()?;
    Some(cache.join("wasm").join(name))
}

fn keep(file: &Path, component: &Component) -> wasmtime::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    create_private(folder)?;
    if !ours(folder) {
        return Ok(());
    }
    let mut staged = tempfile::NamedTempFile::new_in(folder)?;
    staged.write_all(&component.serialize()?)?;
    staged.as_file().sync_all()?;
    staged.persist(file)?;
    Ok(())
}

#[cfg(unix)]
fn create_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(not(unix))]
fn create_private(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
}

/// Whether a file or folder belongs to this user and nobody else can write to it. Elsewhere than on Unix the user's
/// cache folder is private by the system's own rules.
#[cfg(unix)]
fn ours(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    static ME: OnceLock<Option<u32>> = OnceLock::new();
    // A file that this process makes belongs to the user it runs as.
    let me = *ME.get_or_init(|| {
        let probe = tempfile::tempfile().ok()?;
        Some(probe.metadata().ok()?.uid())
    });
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        Some(metadata.uid()) == me && metadata.mode() & 0o022 == 0 && !metadata.is_symlink()
    })
}

#[cfg(not(unix))]
fn ours(_path: &Path) -> bool {
    true
}

/// The innermost cause of an error: what a user can act on.
pub(super) fn root(error: &wasmtime::Error) -> String {
    error.root_cause().to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The smallest component: its header alone.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn compiled_code_is_kept_and_a_damaged_file_is_made_again() {
        let cache = tempfile::tempdir().unwrap();
        compile(EMPTY, Some(cache.path())).unwrap();
        let file = kept(cache.path(), engine().unwrap(), EMPTY).unwrap();
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        compile(EMPTY, Some(cache.path())).unwrap();
        assert_eq!(fs::read(&file).unwrap().len(), whole.len());
    }

    #[cfg(unix)]
    #[test]
    fn compiled_code_that_others_may_write_is_not_loaded() {
        use std::os::unix::fs::PermissionsExt;
        let cache = tempfile::tempdir().unwrap();
        compile(EMPTY, Some(cache.path())).unwrap();
        let file = kept(cache.path(), engine().unwrap(), EMPTY).unwrap();
        assert!(ours(&file) && ours(file.parent().unwrap()));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(!ours(&file));
        compile(EMPTY, Some(cache.path())).unwrap();
        assert!(ours(&file), "it was replaced by a private one");
    }

    #[test]
    fn a_call_gets_at_least_its_time() {
        assert_eq!(ticks(Duration::from_millis(10)), 2);
        assert_eq!(ticks(Duration::from_millis(11)), 3);
        for longest in [Duration::MAX, Duration::from_secs(u64::MAX / 101)] {
            assert_eq!(ticks(longest), u64::MAX / 2 + 1);
        }
    }
}
